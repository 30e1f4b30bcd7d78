"""Who runs: the methods that are compared and the controls without which the comparison misleads.

Every arm is a config of ``configs/`` and, for a control, one changed number. De-coupling makes
features depend less on context; so does learning less. Hence beside each base stand

- ``low-lr``: the base at a smaller learning rate,
- ``equal-compute``: the base with as many student views as its partner with the branch (the
  branch adds a quarter of them): a schedule a quarter longer, same batch,

and, without a run of their own, the random net and the base stopped early (:mod:`tables`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ['ARMS', 'DEFAULT_ARMS', 'PHOTO_ARMS', 'Arm', 'base_of', 'choose_arms']

Role = Literal['base', 'variant', 'decoupled', 'low-lr', 'equal-compute']

LOW_LR = 0.3
EQUAL_COMPUTE = 1.25


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One thing to train.

    Attributes:
        family: Name of the host; arms of a family are compared with each other.
        role: What it is there for.
        config: File below ``configs/`` for generated scenes.
        photos: The same for a folder of photos; empty where there is none.
        lr: Factor of the learning rate.
        iters: Factor of the number of iterations.
    """

    family: str
    role: Role
    config: str
    photos: str = ''
    lr: float = 1.0
    iters: float = 1.0

    @property
    def is_control(self) -> bool:
        """Whether it only serves the comparison; then it is measured at the end alone."""
        return self.role in ('low-lr', 'equal-compute')


def _family(name: str, scenes: str, photos: str, variants: Mapping[str, Role]) -> dict[str, Arm]:
    """Base, variants and controls; ``{}`` in the file names stands for the ending of a variant."""

    def arm(ending: str, role: Role, **factors: float) -> Arm:
        return Arm(
            family=name,
            role=role,
            config=f'scenes/{name}{ending}_{scenes}_scenes.py',
            photos=f'coco_mini/{name}{ending}_{photos}_coco-mini.py',
            **factors,
        )

    return {
        name: arm('', 'base'),
        **{f'{name}-{ending}': arm(f'-{ending}', role) for ending, role in variants.items()},
        f'{name}-low-lr': arm('', 'low-lr', lr=LOW_LR),
        f'{name}-equal-compute': arm('', 'equal-compute', iters=EQUAL_COMPUTE),
    }


#: All arms by name. The small configs of the scenes are the starting point; what a regime changes
#: in them stands in :mod:`mmdssl.miniature.regimes`.
ARMS: Mapping[str, Arm] = {
    **_family(
        'ibot',
        'vit-micro-p16_1xb24-250i',
        'vit-micro-p16_1xb32-400i',
        {'rcc': 'variant', 'd': 'decoupled'},
    ),
    **_family('densecl', 'r18w32-128px_1xb32-250i', 'r18w32-128px_1xb32-400i', {'d': 'decoupled'}),
    **_family(
        'soco',
        'r18w32-128px_1xb32-250i',
        'r18w32-128px_1xb32-400i',
        {'rcc': 'variant', 'd': 'decoupled'},
    ),
}
#: What runs unless asked otherwise.
DEFAULT_ARMS = tuple(name for name in ARMS if name != 'soco-rcc')
PHOTO_ARMS = ('ibot', 'ibot-d')


def base_of(family: str) -> str:
    """Name of a family's base arm."""
    return next(n for n, arm in ARMS.items() if arm.family == family and arm.role == 'base')


def choose_arms(names: Iterable[str]) -> tuple[str, ...]:
    """The named arms in the order of the table, a family's name with ``:all`` for all of it.

    Raises:
        ValueError: If there is no such arm.
    """
    wanted: set[str] = set()
    for name in names:
        family = name.removesuffix(':all')
        found = {n for n, arm in ARMS.items() if n == name or (n != name and arm.family == family)}
        if name not in ARMS and not (name.endswith(':all') and found):
            raise ValueError(
                f'there is no arm {name!r}: choose from {" ".join(ARMS)}, or a family with all '
                'its controls, e.g. ibot:all'
            )
        wanted |= {name} if name in ARMS else found
    return tuple(name for name in ARMS if name in wanted)
