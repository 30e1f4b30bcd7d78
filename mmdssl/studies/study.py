"""What a study is: rows, controls, published values, data and measures, in one declarative file.

A file of ``studies/`` defines ``study = Study(...)`` and nothing else happens there. All arms of a
seed are pairs: same weights at the start, same images, crops, flips and colours.

De-coupling makes features depend less on context; so does learning less. Hence beside each base may
stand :func:`controls`, each one number away from it, and, without a run of their own, the random
net and the base stopped early (:mod:`mmdssl.studies.results`).
"""

import dataclasses
import runpy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mmdssl.core.shipped import shipped

__all__ = [
    'AFTERWARDS',
    'Figure',
    'Published',
    'Role',
    'Row',
    'Scale',
    'Setting',
    'Study',
    'check_measures',
    'controls',
    'load_study',
    'with_config',
]

Role = Literal['base', 'variant', 'decoupled', 'low-lr', 'equal-compute']
#: What a study may measure of a finished run; O-KNN and coupling are measured along every run.
AFTERWARDS = ('position', 'layers', 'data', 'transfer', 'cost')

#: Shares of a run at which it is measured; 0 is the untrained network, 1 the end.
SHARES = (0.0, 0.2, 0.4, 0.7, 1.0)
LOW_LR = 0.3
EQUAL_COMPUTE = 1.25  # the branch adds a quarter of the student's views


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a row is trained at one scale.

    Attributes:
        config: File below ``configs/``; empty for a row with a ``statistic``.
        iters: Iterations of the base's schedule; None as the config has them. Of a ``statistic``
            its repeats.
        epochs: The same of a config that counts epochs.
        warmup: Iterations of warm-up among them; None as the config has them.
        options: Changes of the config by dotted name.
        steps: Changes of the steps of its training pipeline by ``'Transform.argument'``, wherever
            the step occurs.
        transfer: Configs below ``configs/`` of the fine-tunings that judge it, a single one as it
            is; empty: none. Their scores stand side by side, so no two have a name in common.
        continues: Whether it starts from a network that is there, so that it was never random; as
            that of the row, at this scale alone.
    """

    config: str
    iters: int | None = None
    epochs: int | None = None
    warmup: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Any] = field(default_factory=dict)
    transfer: str | tuple[str, ...] = ()
    continues: bool = False

    @property
    def judges(self) -> tuple[str, ...]:
        """Configs of the fine-tunings, none or more."""
        given = (self.transfer,) if isinstance(self.transfer, str) else self.transfer
        return tuple(filter(None, given))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing to train.

    Attributes:
        name: In tables and on the command line.
        settings: How it is trained, by scale; a scale that is missing leaves the row out there.
        role: What it is there for.
        base: Name of the row it is compared with; empty for a base.
        options: Changes of the config at every scale, by dotted name.
        masks: Pipeline steps by the name of the mask they make (``'dc_mask'``), in place of the
            config's own. They get its mask size and random stream.
        lr: Factor of the learning rate.
        length: Factor of the schedule.
        teacher: Row whose network, of the same seed, it needs; empty: none.
        teacher_option: Name in its config of the file of that network.
        continues: Whether it starts from that network, so that it was never random.
        optional: Only trained when it is asked for.
        point: Its place in the study's figure: the curve, and where on the axis.
        statistic: What is computed in place of a training, by its name ``'type'`` in
            :mod:`mmdssl.studies.statistics`, and its arguments.
    """

    name: str
    settings: Mapping[str, Setting]
    role: Role = 'base'
    base: str = ''
    options: Mapping[str, Any] = field(default_factory=dict)
    masks: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    lr: float = 1.0
    length: float = 1.0
    teacher: str = ''
    teacher_option: str = ''
    continues: bool = False
    optional: bool = False
    point: tuple[str, float | str] | None = None
    statistic: Mapping[str, Any] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """Name of the base that it belongs to."""
        return self.base or self.name

    @property
    def is_control(self) -> bool:
        """Whether it only serves the comparison; then it is measured at the end alone."""
        return self.role in ('low-lr', 'equal-compute')


def controls(base: Row, *, equal_compute: float = EQUAL_COMPUTE, **changes: Any) -> tuple[Row, Row]:
    """The base at a smaller learning rate, and with as many student views as with the branch.

    Args:
        base: Whose controls.
        equal_compute: Factor of the schedule that gives it those views; same batch.
        **changes: Of both rows, e.g. ``optional=True``.
    """
    own = dict(base=base.name, **changes)
    return (
        dataclasses.replace(base, name=f'{base.name}-low-lr', role='low-lr', lr=LOW_LR, **own),
        dataclasses.replace(
            base,
            name=f'{base.name}-equal-compute',
            role='equal-compute',
            length=equal_compute,
            **own,
        ),
    )


def with_config(settings: Mapping[str, Setting], scale: str, config: str) -> dict[str, Setting]:
    """The settings with another config at one scale."""
    return {**settings, scale: dataclasses.replace(settings[scale], config=config)}


@dataclass(frozen=True, kw_only=True)
class Published:
    """A table or figure of a paper.

    Attributes:
        title: With its number.
        columns: What the paper calls each column, by the name of our measurement.
        rows: Values by row, in the order of the columns; None where the paper prints none.
        says: What the text says of a figure whose values are not printed.
    """

    title: str
    columns: Mapping[str, str]
    rows: Mapping[str, Sequence[float | None]]
    says: str = ''


@dataclass(frozen=True, kw_only=True)
class Scale:
    """On what the rows of a study are trained, and how they are measured.

    Attributes:
        purpose: One sentence.
        scenes: Settings of :class:`SceneSpec` but the seed: scenes are generated, others for every
            seed. Empty: a folder of photos, given on the command line or by the configs.
        train_images: Training scenes.
        val_images: Validation scenes: the queries of O-KNN and what coupling is measured on.
        bank_images: Training images whose objects form the bank of O-KNN; None: as the configs.
        proposals: Settings of :class:`ProposalSettings` for generated scenes, the filter's with
            ``filter_`` before the name.
        size: Side in pixels at which objects of generated scenes are measured.
        probes: Number of samples of the probes ``inter`` (pairs), ``background`` and ``intra``;
            empty: as the configs have it.
        probe_data: Arguments of the data sets of all probes: where labelled images lie.
        ratios: Shares of A that are missing in the pairs, cut out of pictures with several objects;
            empty: pairs of single-object images, as published.
        min_side: Smallest side, in pixels of the file, of an object in a probe.
        shares: Of a run at which it is measured; 0 is the network it starts from, 1 the end.
        partners_along: Whether that holds for all rows but controls; otherwise only for bases, and
            what is compared with them is measured at the end.
        iters: Length of every schedule, in iterations; None: that of the rows.
        batch: Images of a step, of all processes; None: as the configs have it.
        workers: Loader processes of a run; None: as the configs have it.
        amp: Precision of a run as ``mmdssl train --amp`` takes it; empty: as the configs have it.
        launched: Whether a run has the processes that its config is named by (``8xb32``: eight).
    """

    purpose: str
    scenes: Mapping[str, Any] = field(default_factory=dict)
    train_images: int = 0
    val_images: int = 0
    bank_images: int | None = None
    proposals: Mapping[str, Any] = field(default_factory=dict)
    size: int = 128
    probes: Mapping[str, int] = field(default_factory=dict)
    probe_data: Mapping[str, str] = field(default_factory=dict)
    ratios: tuple[float, ...] = ()
    min_side: float | None = None
    shares: tuple[float, ...] = SHARES
    partners_along: bool = True
    iters: int | None = None
    batch: int | None = None
    workers: int | None = None
    amp: str = ''
    launched: bool = False


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Curves of a paper: one a row, and one of the untrained network.

    Attributes:
        file: Name of the PNG, without its ending.
        places: What stands on the axis, and the name of what is measured there.
        shows: Label of the other axis.
    """

    file: str
    places: Mapping[str, str]
    shows: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """Rows that are compared, and what a paper has for them.

    Attributes:
        title: One line.
        rows: In the order of the tables; a base before the rows that are compared with it.
        published: Tables of a paper.
        measures: What is measured besides O-KNN and coupling.
        axis: Of a figure of coupling between objects: what stands on it, the ``point`` of each row
            or, where rows have none, the missing share of A. Empty: no such figure.
        figures: In place of that one, figures over the same axis.
        scales: In place of, or besides, :data:`mmdssl.studies.scales.SCALES`.
        name: Of its file; :func:`load_study` fills it in.

    Raises:
        ValueError: If two rows have one name, a base, a teacher or a published row is missing, or a
            row has neither config nor statistic, or both.
    """

    title: str
    rows: Sequence[Row]
    published: Sequence[Published] = ()
    measures: Sequence[str] = ('cost',)
    scales: Mapping[str, Scale] = field(default_factory=dict)
    axis: str = ''
    figures: Sequence[Figure] = ()
    name: str = ''

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names):
            raise ValueError(f'two rows have one name: {" ".join(names)}')
        for row in self.rows:
            for what, other in (('base', row.base), ('teacher', row.teacher)):
                if other and other not in names:
                    raise ValueError(f'row {row.name!r}: its {what} {other!r} is no row')
            if any(bool(one.config) is bool(row.statistic) for one in row.settings.values()):
                raise ValueError(f'row {row.name!r} needs a config, or a statistic and none')
        for table in self.published:
            for name, values in table.rows.items():
                if name not in names or len(values) != len(table.columns):
                    raise ValueError(
                        f'{table.title}, {name!r}: a row of the study and {len(table.columns)} '
                        f'values are wanted, there are {len(values)}'
                    )
        check_measures(self.measures)

    def at(self, scale: str) -> 'Study':
        """The study with rows that continue where they do so at the scale."""
        rows = [
            dataclasses.replace(row, continues=True)
            if scale in row.settings and row.settings[scale].continues
            else row
            for row in self.rows
        ]
        return dataclasses.replace(self, rows=rows)

    def row(self, name: str) -> Row:
        """The row of a name."""
        return next(row for row in self.rows if row.name == name)

    def family(self, base: str) -> list[Row]:
        """A base and the rows compared with it."""
        return [row for row in self.rows if row.family == base]

    def choose(self, names: Iterable[str], scale: str) -> tuple[str, ...]:
        """The named rows in the order of the study; a base with ``:all`` for its whole family.

        Rows that others need as teachers come along.

        Args:
            names: None of them: all rows that the scale has and that are not optional.
            scale: Where they run.

        Raises:
            ValueError: If there is no such row, or it has no setting at the scale.
        """
        known = [row.name for row in self.rows]
        wanted: set[str] = set()
        for name in names:
            base = name.removesuffix(':all')
            if base not in known or (name != base and self.row(base).base):
                raise ValueError(
                    f'there is no row {name!r}: choose from {" ".join(known)}, or a base with all '
                    f'its rows, e.g. {self.rows[0].family}:all'
                )
            wanted |= {name} if name == base else {row.name for row in self.family(base)}
        wanted = wanted or {r.name for r in self.rows if not r.optional and scale in r.settings}
        wanted |= {row.teacher for row in self.rows if row.name in wanted and row.teacher}
        chosen = tuple(name for name in known if name in wanted)
        for name in chosen:
            if scale not in self.row(name).settings:
                raise ValueError(f'{name} has no setting at scale {scale!r}: leave it out')
        if not chosen:
            have = sorted({known for row in self.rows for known in row.settings})
            raise ValueError(
                f'{self.name} has no row at scale {scale!r}: there are {" ".join(have)}'
            )
        return chosen


def check_measures(names: Iterable[str]) -> None:
    """Raises ValueError where a study cannot measure something."""
    for name in names:
        if name not in AFTERWARDS:
            raise ValueError(f'there is no measure {name!r}: choose from {" ".join(AFTERWARDS)}')


def load_study(file: str | Path) -> Study:
    """The study of a file.

    Args:
        file: Path, or one below the ``studies/`` that come with the package, with or without it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it defines no study.
    """
    path = Path(file)
    if not path.is_file():
        own = shipped('studies') / path.as_posix().removeprefix('studies/')
        path = own if own.is_file() else own.with_suffix('.py')
    if not path.is_file():
        own = shipped('studies')
        known = ' '.join(sorted(p.relative_to(own).as_posix() for p in own.rglob('*.py')))
        raise FileNotFoundError(f'no study {file}: give a file, or one of {known}')
    found = runpy.run_path(str(path)).get('study')
    if not isinstance(found, Study):
        raise ValueError(f'{file} defines no study: it needs a line study = Study(...)')
    return dataclasses.replace(found, name=path.stem)
