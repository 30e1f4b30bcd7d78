"""Start a part of a detector or segmentor from a pre-trained backbone: completely, or not at all.

mmengine's ``Pretrained`` loads what fits and continues, so that a network of another width or
depth starts untrained under the name of a pre-trained one. This initializer compares both
directions first, says what it read, and refuses what does not fit.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from torch import nn

from mmdssl.core.locating import SHARED_HEAD, Source, find, named, tensors
from mmdssl.core.reading import load_checkpoint_file
from mmdssl.core.weight_facts import facts_of
from mmdssl.core.weight_values import check_finite
from mmdssl.models.utils.backbone_weights import LoadReport, bind_facts, compare, needed_tensors
from mmdssl.models.utils.input_channels import inflated
from mmdssl.registry import WEIGHT_INITIALIZERS

__all__ = ['PretrainedBackbone', 'as_strict', 'load_part']


@WEIGHT_INITIALIZERS.register_module()
class PretrainedBackbone:
    """``init_cfg=dict(type='mmdssl.PretrainedBackbone', checkpoint=FILE)`` of a backbone or head.

    The same file serves every part of a detector: the trunk of a C4 detector takes stem to
    ``layer3``, its shared head takes ``layer4``. A child of the module must be in the file
    whole; what the file has for children that the module lacks is left out and named in the
    log.

    Args:
        checkpoint: A file of ``mmdssl convert export --to mmdet`` (or mmseg; with or
            without ``--c4``), or a checkpoint of a run of this package.
        source: Which backbone of a run's checkpoint: 'teacher', 'student', or 'auto', the
            evaluation backbone of the method.
        fresh: Children of the module that no file holds and that keep their initial values.
    """

    def __init__(
        self, *, checkpoint: str | Path, source: Source = 'auto', fresh: Sequence[str] = ()
    ) -> None:
        self.checkpoint = checkpoint
        self.source: Source = source
        self.fresh = tuple(fresh)

    def __call__(self, module: nn.Module) -> None:
        """Load ``module``.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it does not hold all of the module; see :func:`load_part`.
        """
        _keep_from_here_on(module, self.fresh)
        report = load_part(module, self.checkpoint, source=self.source, fresh=self.fresh)
        print_log(
            f'Loaded {len(report.matched)}/{len(report.matched)} tensors of '
            f'{type(module).__name__} from {self.checkpoint} (prefix {report.prefix!r}; '
            f'unused: {", ".join(report.unexpected) or "none"})',
            logger='current',
        )


def _keep_from_here_on(module: nn.Module, fresh: Sequence[str]) -> None:
    """Let nobody initialise what is about to be loaded.

    mmengine runs its own ``Pretrained`` behind the initialisation of the parts, any other
    initializer before it, so that convolutions with norms of their own would be random again.
    Backbones with an initialisation of their own ask the type for the same reason.
    """
    if isinstance(getattr(module, 'init_cfg', None), dict):
        module.init_cfg = {**module.init_cfg, 'type': 'Pretrained'}  # type: ignore[assignment, dict-item]
    for name, child in module.named_children():
        if name not in fresh:
            child.is_init = True  # type: ignore[assignment]


def as_strict(init_cfg: Any) -> dict[str, Any]:
    """mmengine's ``dict(type='Pretrained', ...)`` as a :class:`PretrainedBackbone`; else as it is.

    ``prefix`` and ``map_location`` are dropped: the place is found, and it is always the CPU.
    """
    settings = dict(init_cfg)
    if settings.get('type') != 'Pretrained':
        return settings
    kept = {k: v for k, v in settings.items() if k not in ('type', 'prefix', 'map_location')}
    return dict(type=PretrainedBackbone, **kept)


def load_part(
    module: nn.Module,
    path: str | Path,
    *,
    source: Source = 'auto',
    fresh: Sequence[str] = (),
) -> LoadReport:
    """Load a module that is a backbone, or a part of one under the same names.

    Args:
        module: Takes the weights; a vision transformer resizes the position table itself, and
            filters for R, G, B are spread where it takes other channels (:mod:`input_channels`).
        path: See :class:`PretrainedBackbone`.
        source: See :class:`PretrainedBackbone`.
        fresh: See :class:`PretrainedBackbone`.

    Returns:
        What was loaded; ``unexpected`` names what was left out.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read, lacks a tensor of the module, has more for one
            of its children (like further blocks), or one of another shape.
    """
    content = load_checkpoint_file(path)
    prefix, own = find(content, path, source)
    # ``layer4`` is brought back from a C4 file.
    stored = {**own, **named(tensors(content, path), SHARED_HEAD)}
    wanted = {n: size for n, size in needed_tensors(module).items() if n.split('.')[0] not in fresh}
    children = {name.split('.')[0] for name in wanted}
    ours = {name: v for name, v in stored.items() if name.split('.')[0] in children}
    report = compare(wanted, ours, prefix)
    title = type(module).__name__
    if report.missing or report.unexpected:
        raise ValueError(
            f'{path} does not fit {title}: {report}; it must hold the whole of it, so it seems to '
            'be the checkpoint of another architecture: compare the arch or depth in the config'
        )
    check_finite(ours, path)
    ours = inflated(ours, module, path)
    try:
        module.load_state_dict(ours, strict=False)
    except (RuntimeError, ValueError) as error:
        first = next((line for line in str(error).splitlines() if 'size mismatch' in line), error)
        raise ValueError(
            f'{path} does not fit {title}: {str(first).strip()}; it seems to be the checkpoint of '
            'another architecture or size: compare the arch or depth in the config'
        ) from error
    bind_facts(module, facts_of(content))
    left_out = sorted({name.split('.')[0] for name in stored} - children - {'mask_token'})
    return replace(report, unexpected=tuple(left_out))
