"""What a method makes of a batch before its loss: the pictures that only this method has.

MaskAlign: what the teacher attends to and the patches that the student gets. Leopart: overlaps,
foreground and clusters. Both need a network that has learnt something. D3SSL: the views of both
nets, and what its region augmentations draw on the boxes of one image.
"""

from pathlib import Path
from typing import Any

from torch import nn

from mmdssl.models.algorithms.d3ssl import D3SSL
from mmdssl.models.algorithms.leopart import Leopart
from mmdssl.models.algorithms.maskalign import MaskAlign
from mmdssl.models.algorithms.neco import NeCo
from mmdssl.models.utils.backbone_weights import compare, needed_tensors, read_state_dict
from mmdssl.visualization.attentive_masks import draw_attentive_masks, draws_of
from mmdssl.visualization.d3ssl import draw_d3ssl, draw_region_augmentations, first_regions
from mmdssl.visualization.leopart import draw_leopart

__all__ = ['draw_method', 'give_weights', 'has_pictures']

_LEARNT = (MaskAlign, Leopart)  # whose pictures depend on weights


def has_pictures(model: nn.Module) -> bool:
    """Whether :func:`draw_method` draws anything for it; NeCo, a Leopart, has no clusters."""
    return isinstance(model, (*_LEARNT, D3SSL)) and not isinstance(model, NeCo)


def give_weights(model: nn.Module, checkpoint: str | Path | None = None) -> None:
    """Give a model the weights that its pictures need.

    Args:
        model: As built from its config.
        checkpoint: Of a run of Leopart with this config; None: what the config starts from
            (MaskAlign's teacher; Leopart's ViT, whose clusters are then those of random
            prototypes).

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the checkpoint is not of such a run, or the method's pictures show nothing
            that is trained.
    """
    if checkpoint is None:
        if isinstance(model, _LEARNT):
            model.init_weights()  # type: ignore[operator]
        return
    if not has_pictures(model) or not isinstance(model, Leopart):
        raise ValueError(
            f'--checkpoint {checkpoint}: nothing that is trained is in the pictures of '
            f'{type(model).__name__}, leave it out'
        )
    state = read_state_dict(checkpoint)
    report = compare(needed_tensors(model), state, '')
    if report.missing:
        raise ValueError(f'{checkpoint} is not of a run with this config: {report}')
    model.load_state_dict(state, strict=False)


def draw_method(
    data: dict[str, Any], model: nn.Module, out: Path, *, step: int, images: int
) -> list[Path]:
    """Draw one batch.

    Args:
        data: As the loader gives it.
        model: With weights, see :func:`give_weights`.
        out: Folder.
        step: Number in the file's name.
        images: Most images to show.

    Returns:
        ``attentive_000.png``, ``leopart_000.png``, or ``d3ssl_000.png`` and ``regions_000.png``,
        PRC, PRM and RBJ at their defaults on the first image as cropped for x2.

    Raises:
        TypeError: For a model without such pictures, see :func:`has_pictures`.
    """
    model.eval()
    if isinstance(model, MaskAlign):
        looked = draws_of(model, data['inputs']['views'][0][:images])
        return [draw_attentive_masks(looked, out / f'attentive_{step:03d}.png')]
    if isinstance(model, Leopart) and has_pictures(model):
        return [draw_leopart(data, model, out / f'leopart_{step:03d}.png', max_images=images)]
    if isinstance(model, D3SSL):
        views, regions = (out / f'{name}_{step:03d}.png' for name in ('d3ssl', 'regions'))
        image, boxes = first_regions(data)
        return [
            draw_d3ssl(data, model, views, max_images=images, step=step),
            draw_region_augmentations(image, boxes, regions),
        ]
    raise TypeError(f'{type(model).__name__} has no pictures of its own')
