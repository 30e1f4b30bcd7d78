"""Read a backbone out of a checkpoint, and say what was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mmdssl.core.locating import Source, essential, find, tensors
from mmdssl.core.reading import load_checkpoint_file
from mmdssl.core.tokens import extra_tokens
from mmdssl.core.weight_facts import facts_of
from mmdssl.core.weight_values import check_finite
from mmdssl.core.wording import listed, listed_after
from mmdssl.models.utils.input_channels import inflated

__all__ = [
    'LoadReport',
    'Source',
    'bind_facts',
    'compare',
    'load_backbone',
    'needed_tensors',
    'read_state_dict',
]

# What has no part in the features, or is known without a file: many leave out BatchNorm's counter,
# a teacher has no mask token, and files of libraries no rotary periods.
_WITHOUT_PART = ('num_batches_tracked', 'mask_token', 'rope.periods')


@dataclass(frozen=True)
class LoadReport:
    """What a checkpoint gave to a backbone.

    Attributes:
        prefix: Where in the checkpoint the backbone stood, e.g. ``'teacher.backbone.'``.
        matched: Names that were loaded, without the prefix.
        missing: Names of the backbone that the checkpoint lacks.
        unexpected: Names under the prefix that the backbone lacks.
        coverage: Share of the backbone that was loaded, 0..1: the smaller of the shares of
            tensors (a lost BatchNorm is few values but many tensors) and of values.
        held: All tensors of the backbone, whether features depend on them or not, by name: True
            where they came from the checkpoint.
    """

    prefix: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    coverage: float
    held: Mapping[str, bool] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f'{len(self.matched)} tensors matched under {self.prefix!r}, {len(self.missing)} '
            f'missing{listed_after(self.missing)}, {len(self.unexpected)} '
            f'unexpected{listed_after(self.unexpected)}, coverage {self.coverage:.1%}'
        )

    def origin(self, path: str | Path) -> str:
        """Where the weights of the backbone are from, like ``'175 of 175 tensors from FILE'``."""
        others = [name for name, from_file in self.held.items() if not from_file]
        line = f'{len(self.held) - len(others)} of {len(self.held)} tensors from {path}'
        return f'{line} (not in it: {listed(others)})' if others else line


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint by name; plain data only, no code of it is executed.

    Args:
        path: A state dict of ``torch.save``, a dict with one under ``state_dict``, or safetensors.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds more than plain data, no tensors, or NaN or Inf.
    """
    state = tensors(load_checkpoint_file(path), path)
    check_finite(state, path)
    return state


def load_backbone(
    backbone: nn.Module,
    path: str | Path,
    *,
    source: Source = 'auto',
    min_coverage: float = 0.95,
) -> LoadReport:
    """Load the backbone of a pre-training or classification checkpoint.

    Args:
        backbone: Takes the weights; a vision transformer resizes the position table itself, and
            filters for R, G, B are spread where it takes other channels (:mod:`input_channels`).
        path: Checkpoint, see :func:`read_state_dict`.
        source: 'teacher', 'student', or 'auto': the one that the checkpoint says is the method's
            to keep; where it says nothing, the teacher if there is one, else what stands under
            ``backbone.``, else the whole file.
        min_coverage: Least share of the backbone that the checkpoint must hold.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be used, shapes differ, coverage is short, or values are
            NaN or Inf.
    """
    content = load_checkpoint_file(path)
    prefix, own = find(content, path, source)
    report = compare(needed_tensors(backbone), own, prefix)
    if report.coverage < min_coverage:
        raise ValueError(
            f'{path} covers too little of {type(backbone).__name__}: {report}; at least '
            f'{min_coverage:.0%} is needed, so is it the checkpoint of another architecture? A '
            'file of another project is converted first: mmdssl convert import FILE --from ...'
        )
    constant = {name for name, _ in backbone.named_buffers()}  # the table of MAE
    lost = [name for name in essential(report.missing) if name not in constant]
    extra = [*extra_tokens(report.unexpected), *_further_parts(report.unexpected)]
    if lost or extra:
        what = f'lacks {", ".join(lost)}' if lost else f'has {", ".join(extra)} as well'
        raise ValueError(
            f'{path} is of another network than {type(backbone).__name__}: it {what}, on which '
            'all features depend'
        )
    check_finite(own, path)
    own = inflated(own, backbone, path)
    try:
        backbone.load_state_dict(own, strict=False)
    except RuntimeError as error:
        _, first, *others = str(error).splitlines()
        raise ValueError(
            f'{path} does not fit {type(backbone).__name__}: {first.strip()} ({len(others)} more '
            'such tensors): is it the checkpoint of another architecture or size?'
        ) from error
    except ValueError as error:  # a position table that cannot be resized
        raise ValueError(f'{path} does not fit {type(backbone).__name__}: {error}') from error
    bind_facts(backbone, facts_of(content))
    return replace(report, held={name: name in own for name in backbone.state_dict()})


def _further_parts(names: Sequence[str]) -> list[str]:
    """Parts of a network, by the tensors it has more, without which its features are others."""
    found = ['pos_embed'] if 'pos_embed' in names else []
    return found + (['LayerScale'] if any('.gamma' in name for name in names) else [])


def bind_facts(module: nn.Module, facts: Mapping[str, str]) -> None:
    """Keep with a module what its weights' file says of them.

    Args:
        module: Has them as ``weight_facts`` afterwards. The rule of a position table is taken
            over, unless the module's config gives one.
        facts: See :func:`mmdssl.core.weight_facts.facts_of`; none leave the module as it is.
    """
    if not facts:
        return
    own: Any = module
    own.weight_facts = dict(facts)
    rule = facts.get('pos_rule')
    if rule is not None and getattr(module, 'own_pos_rule', rule) is None:
        own.pos_rule = rule


def needed_tensors(module: nn.Module) -> dict[str, int]:
    """Sizes, by name, of the tensors that have a part in the features."""
    return {
        name: value.numel()
        for name, value in module.state_dict().items()
        if not name.endswith(_WITHOUT_PART)
    }


def compare(wanted: Mapping[str, int], state: Mapping[str, Tensor], prefix: str) -> LoadReport:
    """What of the :func:`needed_tensors` of a module a state dict under ``prefix`` holds."""
    matched = tuple(name for name in wanted if name in state)
    values = sum(wanted[name] for name in matched) / max(sum(wanted.values()), 1)
    return LoadReport(
        prefix=prefix,
        matched=matched,
        missing=tuple(name for name in wanted if name not in state),
        unexpected=tuple(
            name for name in state if name not in wanted and not name.endswith(_WITHOUT_PART)
        ),
        coverage=min(len(matched) / max(len(wanted), 1), values),
    )
