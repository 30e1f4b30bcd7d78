"""A run of a study: one row with one seed, and the folder that it is known by.

The folder is named by a digest of all that decides what comes out. A changed setting is another
run, and studies that share an output folder share the runs that they have in common.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdssl.core.shipped import shipped
from mmdssl.engine.config import load_config
from mmdssl.studies.recipe import make_config, named_processes
from mmdssl.studies.scales import choose_scale
from mmdssl.studies.study import Row, Scale, Setting, Study, check_measures, load_study

__all__ = ['Plan', 'Run']

_FRESH = 10_000
#: What does not decide what comes out.
_NO_SETTING = ('default_hooks', 'efficiency', 'env_cfg', 'log_level', 'log_processor', 'visualizer')


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What of a study is run, and where.

    Attributes:
        file: Of the study, as :func:`load_study` takes it.
        scale: Name.
        out: Folder of the results.
        seeds: One run of every row for each.
        names: Rows, see :meth:`Study.choose`; none: all that the scale has.
        data: Folder of the photos, or for the generated scenes; None: that of the configs, or
            ``out/scenes``.
        iters: Iterations of every schedule, in place of the study's.
        processes: Of a run, in place of what its config is named by; they share its batch.
        measured: What is measured afterwards, in place of the study's; None: the study's.

    Raises:
        ValueError: If there is no such measure.
    """

    file: str
    scale: str
    out: Path
    seeds: tuple[int, ...]
    names: tuple[str, ...] = ()
    data: Path | None = None
    iters: int | None = None
    processes: int | None = None
    measured: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_measures(self.measures)

    @property
    def measures(self) -> tuple[str, ...]:
        """What is measured of a finished run besides O-KNN and coupling."""
        return tuple(self.study.measures) if self.measured is None else self.measured

    @cached_property
    def study(self) -> Study:
        """The study of the file, as it is at the scale."""
        found = load_study(self.file)
        return found.at(choose_scale(found, self.scale)[1])

    @cached_property
    def size(self) -> Scale:
        """The scale."""
        scale = choose_scale(self.study, self.scale)[0]
        return scale if self.iters is None else dataclasses.replace(scale, iters=self.iters)

    @cached_property
    def setting(self) -> str:
        """Name by which the rows know their settings."""
        return choose_scale(self.study, self.scale)[1]

    @cached_property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows that are run."""
        return self.study.choose(self.names, self.setting)

    def scene_seed(self, seed: int) -> int:
        """Seed of the scenes of a run: other scenes for every seed, never those of seed 0."""
        return _FRESH + seed

    def data_root(self, seed: int) -> Path | None:
        """Folder of the data of a seed; None: that of the configs."""
        if not self.size.scenes:
            return self.data
        scale = self.size
        spec = [dict(scale.scenes), scale.train_images, scale.val_images, dict(scale.proposals)]
        folder = self.data or self.out / 'scenes'
        return folder / f'{self.setting}-{_digest(spec, 6)}' / f'scenes-{self.scene_seed(seed)}'

    @cached_property
    def runs(self) -> list['Run']:
        """All runs, seed by seed: a study that is cut short holds whole seeds."""
        return [Run(plan=self, name=name, seed=seed) for seed in self.seeds for name in self.rows]

    @cached_property
    def _settings(self) -> dict[str, dict[str, Any]]:
        return {}

    def settings_of(self, name: str) -> dict[str, Any]:
        """All that decides what comes out of a row, whatever the seed, as json gives it back."""
        if name in self._settings:
            return self._settings[name]
        # Folders and seeds by placeholders: the same run elsewhere is the same run.
        plan = dataclasses.replace(self, out=Path('OUT'), data=Path('DATA'))
        run = Run(plan=plan, name=name, seed=0)
        if run.row.statistic:
            return _plain(dict(statistic=run.row.statistic, repeats=run.length[1]))
        config = make_config(run).to_dict()
        kept = {k: v for k, v in config.items() if k not in (*_NO_SETTING, 'work_dir')}
        kept = {k: v for k, v in kept.items() if not k.endswith('_pipeline')}  # not those in use
        size = self.size
        data = [size.scenes, size.train_images, size.val_images] if size.scenes else None
        found = _plain(dict(config=kept, shares=run.shares, data=data, processes=run.processes))
        self._settings[name] = found
        return found


@dataclass(frozen=True, kw_only=True)
class Run:
    """One row with one seed.

    Attributes:
        plan: What it is part of.
        name: Of the row.
        seed: Of initialisation, data order, views and masks.
    """

    plan: Plan
    name: str
    seed: int

    @property
    def row(self) -> Row:
        """Its entry in the study."""
        return self.plan.study.row(self.name)

    @property
    def setting(self) -> Setting:
        """How it is trained at the scale."""
        return self.row.settings[self.plan.setting]

    @property
    def teacher(self) -> 'Run | None':
        """The run whose network it needs, which has to be done before."""
        return dataclasses.replace(self, name=self.row.teacher) if self.row.teacher else None

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares of the run at which it is measured."""
        size = self.plan.size
        at_end = self.row.is_control or (bool(self.row.base) and not size.partners_along)
        return (1.0,) if at_end else size.shares

    @cached_property
    def published(self) -> Config:
        """The config of its file, with its data."""
        root = self.plan.data_root(self.seed)
        options = {} if root is None else {'data_root': str(root)}
        return load_config(shipped('configs') / self.setting.config, options)

    @property
    def base_length(self) -> tuple[str, int]:
        """``'iter'``, ``'epoch'`` or ``'repeat'``, and how many the base of the row has.

        Raises:
            ValueError: If iterations are given to a config that counts epochs.
        """
        count = self.plan.size.iters or self.setting.iters
        if self.row.statistic:
            return 'repeat', count or 1
        loop = self.published.train_cfg
        if not loop.get('max_epochs'):
            return 'iter', count or loop.max_iters
        if count:
            raise ValueError(
                f'{self.setting.config} counts epochs: leave its length as it is, or choose a '
                'scale that counts iterations'
            )
        return 'epoch', self.setting.epochs or loop.max_epochs

    @property
    def length(self) -> tuple[str, int]:
        """``'iter'``, ``'epoch'`` or ``'repeat'``, and how many the run has."""
        kind, count = self.base_length
        return kind, max(1, round(count * self.row.length))

    @property
    def processes(self) -> int:
        """Processes of the run, one GPU each."""
        if self.plan.processes is not None or not self.plan.size.launched:
            return self.plan.processes or 1
        return named_processes(self.setting.config)

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides what comes out of the row, whatever the seed, as json gives it back."""
        return self.plan.settings_of(self.name)

    @property
    def folder(self) -> Path:
        """Where it keeps its files."""
        stem = Path(self.setting.config).name.split('_')[0] or self.row.statistic['type']
        digest = _digest(self.settings, 10)
        return self.plan.out / 'runs' / f'{stem}-{digest}' / f'seed-{self.seed}'

    @property
    def checkpoint(self) -> Path:
        """The network at its end."""
        kind, count = self.length
        return self.folder / f'{kind}_{count}.pth'


def _plain(value: Any) -> Any:
    """As json has it: tuples as lists."""
    return json.loads(json.dumps(value, default=str))


def _digest(value: Any, letters: int) -> str:
    text = json.dumps(_plain(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:letters]
