"""What a study is: regime, arms, seeds, folders. Plain values, so that processes can share it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdssl.miniature.arms import ARMS, Arm
from mmdssl.miniature.regimes import POINTS, Regime, Training

__all__ = ['Plan', 'Run']

_FRESH = 10_000
_OF_TEACHER = ('teacher', 'teacher_option', 'continues')


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A study.

    Attributes:
        name: Of the regime.
        scale: ``'cpu'`` or ``'gpu'``.
        regime: Its settings, after the changes of the command line.
        arms: Names, see :data:`ARMS`.
        seeds: One run of every arm for each.
        configs: Folder of the configs.
        out: Folder of the results.
        data: Folder of the generated scenes; for photos the folder of the photos.
        threads: Threads of a run.
    """

    name: str
    scale: str
    regime: Regime
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    configs: Path
    out: Path
    data: Path
    threads: int = 1

    @property
    def on_photos(self) -> bool:
        """Whether the data are a folder of photos."""
        return not self.regime.scenes

    def scene_seed(self, seed: int) -> int:
        """Seed of the scenes of a run: other scenes for every seed, never those of seed 0."""
        return _FRESH + seed

    def data_root(self, seed: int) -> Path:
        """Folder of the data of a seed."""
        if self.on_photos:
            return self.data
        return self.data / f'{self.name}-{self.scale}' / f'scenes-{self.scene_seed(seed)}'

    def runs(self) -> list['Run']:
        """All runs, seed by seed: a study that is cut short holds whole seeds."""
        return [Run(plan=self, name=name, seed=seed) for seed in self.seeds for name in self.arms]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One arm with one seed.

    Attributes:
        plan: The study.
        name: Of the arm.
        seed: Of initialisation, data order, views and masks.
    """

    plan: Plan
    name: str
    seed: int

    @property
    def arm(self) -> Arm:
        """Its entry in the table."""
        return ARMS[self.name]

    @property
    def training(self) -> Training:
        """Settings of its family.

        Raises:
            ValueError: If the regime has none.
        """
        found = self.plan.regime.training.get(self.arm.family)
        if found is None:
            raise ValueError(
                f'the regime {self.plan.name!r} has no settings for {self.arm.family}: leave '
                f'{self.name} out'
            )
        return found

    @property
    def folder(self) -> Path:
        """Where it keeps its files."""
        return self.plan.out / self.name / f'seed-{self.seed}'

    @property
    def teacher(self) -> 'Run | None':
        """The run whose network it needs, which has to be done before."""
        return dataclasses.replace(self, name=self.arm.teacher) if self.arm.teacher else None

    @property
    def checkpoint(self) -> Path:
        """The network at its end."""
        return self.folder / f'iter_{self.iters}.pth'

    @property
    def iters(self) -> int:
        """Length of its schedule."""
        return max(1, round(self.training.iters * self.arm.iters))

    @property
    def points(self) -> tuple[int, ...]:
        """Iterations at which it is measured."""
        shares = (1.0,) if self.arm.is_control else POINTS
        return tuple(sorted({round(share * self.iters) for share in shares}))

    @property
    def seconds(self) -> float:
        """Estimated duration."""
        branch = 1.2 if self.arm.role == 'decoupled' else 1.0
        return self.training.seconds * self.arm.iters * branch

    @property
    def unread(self) -> str:
        """Which of the arm's two configs, scenes or photos, this run does not read."""
        return 'config' if self.plan.on_photos else 'photos'

    def settings(self) -> dict[str, Any]:
        """Everything that decides what comes out, as json would give it back."""
        regime = dataclasses.asdict(self.plan.regime)
        regime.pop('training')
        training = dataclasses.asdict(self.training)
        training.pop('seconds')
        arm = dict(dataclasses.asdict(self.arm), name=self.name)
        if not self.arm.teacher:  # studies made before there were such arms go on
            arm = {key: value for key, value in arm.items() if key not in _OF_TEACHER}
        arm.pop(self.unread)
        return _plain(
            dict(
                regime=self.plan.name,
                scale=self.plan.scale,
                arm=arm,
                seed=self.seed,
                scene_seed=None if self.plan.on_photos else self.plan.scene_seed(self.seed),
                iters=self.iters,
                points=self.points,
                data=regime,
                training=training,
            )
        )


def _plain(value: Any) -> Any:
    """Tuples as lists, as json has them."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (tuple, list)) else value
