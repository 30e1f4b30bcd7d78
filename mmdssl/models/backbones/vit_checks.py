"""What a vision transformer cannot be built for, or run on, in sentences."""

from mmdssl.models.backbones.position_embedding import Rule, check_rule

__all__ = ['check_fit', 'check_settings']


def check_settings(
    registers: int, pos_rule: Rule | None, ffn: str, rotary: bool, key_bias: bool | None
) -> None:
    """Refuse settings of :class:`DenseViT` that do not go together.

    Raises:
        ValueError: If they do not.
    """
    if registers < 0:
        raise ValueError(f'registers={registers} must be 0 or more')
    if pos_rule is not None:
        check_rule(pos_rule, 'pos_rule')
    if ffn not in ('mlp', 'gated'):
        raise ValueError(f"ffn={ffn!r} must be 'mlp' or 'gated'")
    if rotary and pos_rule is not None:
        raise ValueError(f'pos_rule={pos_rule!r} is for a position table, and rope has none')
    if key_bias is False and not rotary:
        raise ValueError(
            'key_bias=False is for rope: without it a bias of the keys changes nothing, so leave '
            'it out'
        )


def check_fit(size: tuple[int, ...], patch: int, what: str) -> None:
    """Images are whole patches: padding would change the last cells, cutting would lose pixels.

    Args:
        size: Height and width in pixels.
        patch: Side of a patch in pixels.
        what: What has this size, for the message.

    Raises:
        ValueError: If a side is no multiple of the patch.
    """
    if any(side % patch for side in size):
        nearest = ' x '.join(str(max(side // patch, 1) * patch) for side in size)
        raise ValueError(
            f'{what} {" x ".join(map(str, size))} pixels are no multiple of the patch size '
            f'{patch}: crop or resize to {nearest}, or pad (pad_size_divisor={patch} of the data '
            'preprocessors of mmdet and mmseg)'
        )
