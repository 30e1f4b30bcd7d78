"""Who runs: the methods that are compared and the controls without which the comparison misleads.

Every arm is a config of ``configs/`` and, for a control, one changed number. De-coupling makes
features depend less on context; so does learning less. Hence beside each base stand

- ``low-lr``: the base at a smaller learning rate,
- ``equal-compute``: the base with as many student views as its partner with the branch (the
  branch adds a quarter of them): a schedule a quarter longer, same batch,

and, without a run of their own, the random net and the base stopped early (:mod:`tables`).

MaskAlign and Leopart need a network that is there already: the teacher of the ``ibot`` run with
the same seed, which is made first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ['ARMS', 'DEFAULT_ARMS', 'PHOTO_ARMS', 'Arm', 'base_of', 'choose_arms']

Role = Literal['base', 'variant', 'decoupled', 'low-lr', 'equal-compute']

LOW_LR = 0.3
EQUAL_COMPUTE = 1.25
#: MaskAlign's student sees 0.3 of a view; X^D is a quarter of a view, and whole.
EQUAL_COMPUTE_MASKALIGN = 1 + 0.25 / 0.3
#: Leopart's student sees two global views and four of a quarter of their size; a quarter of both.
EQUAL_COMPUTE_LEOPART = 1 + 2 * 0.25 / 3


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
        teacher: Arm whose network, of the same seed, it needs; empty: none.
        teacher_option: Name in its config of the file of that network.
        continues: Whether it starts from that network, so that it was never random.
    """

    family: str
    role: Role
    config: str
    photos: str = ''
    lr: float = 1.0
    iters: float = 1.0
    teacher: str = ''
    teacher_option: str = ''
    continues: bool = False

    @property
    def is_control(self) -> bool:
        """Whether it only serves the comparison; then it is measured at the end alone."""
        return self.role in ('low-lr', 'equal-compute')


def _family(
    name: str,
    scenes: str,
    photos: str,
    variants: Mapping[str, Role],
    *,
    equal_compute: float = EQUAL_COMPUTE,
    **network: Any,
) -> dict[str, Arm]:
    """Base, variants and controls; ``network``: what it says of its teacher."""

    def arm(ending: str, role: Role, **factors: Any) -> Arm:
        return Arm(
            family=name,
            role=role,
            config=f'scenes/{name}{ending}_{scenes}_scenes.py',
            photos=f'coco_mini/{name}{ending}_{photos}_coco-mini.py',
            **network,
            **factors,
        )

    return {
        name: arm('', 'base'),
        **{f'{name}-{ending}': arm(f'-{ending}', role) for ending, role in variants.items()},
        f'{name}-low-lr': arm('', 'low-lr', lr=LOW_LR),
        f'{name}-equal-compute': arm('', 'equal-compute', iters=equal_compute),
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
    **_family('densecl', 'r18w32-128px_1xb32-250i', 'r18w32-128px_1xb32-250i', {'d': 'decoupled'}),
    **_family(
        'soco',
        'r18w32-128px_1xb32-250i',
        'r18w32-128px_1xb32-1000i',
        {'rcc': 'variant', 'd': 'decoupled'},
    ),
    **_family(
        'maskalign',
        'vit-micro-p16_1xb32-250i',
        'vit-micro-p16_1xb32-250i',
        {'d': 'decoupled'},
        equal_compute=EQUAL_COMPUTE_MASKALIGN,
        teacher='ibot',
        teacher_option='model.teacher.checkpoint',
    ),
    **_family(
        'leopart',
        'vit-micro-p16_1xb24-200i',
        'vit-micro-p16_1xb24-200i',
        {'d': 'decoupled'},
        equal_compute=EQUAL_COMPUTE_LEOPART,
        teacher='ibot',
        teacher_option='model.init',
        continues=True,
    ),
}
_ASKED_FOR = {'soco-rcc'} | {name for name, arm in ARMS.items() if arm.teacher and arm.is_control}
#: What runs unless asked otherwise; an hour and a half of two cores has no room for all.
DEFAULT_ARMS = tuple(name for name in ARMS if name not in _ASKED_FOR)
PHOTO_ARMS = ('ibot', 'ibot-d')


def base_of(family: str) -> str:
    """Name of a family's base arm."""
    return next(n for n, arm in ARMS.items() if arm.family == family and arm.role == 'base')


def choose_arms(names: Iterable[str]) -> tuple[str, ...]:
    """The named arms in the order of the table, a family's name with ``:all`` for all of it.

    Arms that others need as teachers come along.

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
    wanted |= {ARMS[name].teacher for name in wanted if ARMS[name].teacher}
    return tuple(name for name in ARMS if name in wanted)
