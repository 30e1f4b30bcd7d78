"""The config of a run: the row's own with the changes of its setting and scale.

Pairs are made here. All rows of a seed start from the same weights and see the same images in the
same crops, flips and colours, because masks draw from a random stream of their own and the branch
from another one. So the rows of a family differ in what their names say, and a row with the branch
has the very masks of its partner (iBOT-D, whose mask tokens follow RCC as published, those of
iBOT-RCC).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.config import Config

from mmdssl.core.config_parts import MASKS, with_masks
from mmdssl.core.shipped import shipped
from mmdssl.datasets.proposals.filters import ProposalFilter
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.engine.launch import set_precision
from mmdssl.studies.study import Scale

if TYPE_CHECKING:
    from mmdssl.studies.run import Run

__all__ = [
    'make_config',
    'named_processes',
    'proposal_settings',
    'set_steps',
    'share_batch',
]

#: What else draws from the stream of the masks, and not from that of the views: the same views with
#: and without.
_AFTER_VIEWS = (
    'BoxJitter',
    'ProposalRandomCutout',
    'ProposalRandomMask',
    'RestrictedBoxJitter',
    'ShiftedForeground',
)
_STREAM = 'masks'
_MEASURING = ('ObjectKNNHook', 'CouplingHook')


def make_config(run: 'Run') -> Config:
    """Config of a run, ready for :func:`mmdssl.engine.launch.build_runner`.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If the warm-up is as long as the run, a mask to replace is not there, or the
            batch does not divide among the processes.
    """
    row, setting, scale = run.row, run.setting, run.plan.size
    config = run.published
    config = Config(config.to_dict(), filename=config.filename)
    config.merge_from_dict({**setting.options, **row.options})
    if run.teacher is not None:
        config.merge_from_dict({row.teacher_option: str(run.teacher.checkpoint)})
    pipeline = config.train_dataloader.dataset.pipeline
    steps = dict(setting.steps)
    if scale.scenes:
        steps['LoadProposals.expect'] = proposal_settings(scale).parameters()
    set_steps(pipeline, steps)
    for key, made_by in row.masks.items():
        pipeline = with_masks(pipeline, key, made_by)
    config.merge_from_dict({'train_dataloader.dataset.pipeline': pipeline})
    pipeline = config.train_dataloader.dataset.pipeline
    for step in _steps(pipeline):
        if step['type'] in (*MASKS, *_AFTER_VIEWS):
            step.setdefault('stream', _STREAM)
    config.optim_wrapper.optimizer.lr *= row.lr
    if scale.amp:
        set_precision(config, scale.amp)
    _set_length(config, run)
    loader = config.train_dataloader
    if scale.batch is not None:
        loader.batch_size = scale.batch
        share_batch(config, f'scale {run.plan.scale}', run.processes)
    else:
        share_batch(config, setting.config, run.processes)
    if scale.workers is not None:
        loader.num_workers, loader.persistent_workers = scale.workers, scale.workers > 0
    config.randomness = dict(seed=run.seed, diff_rank_seed=True)
    # Measured by a hook of ours, at the points of the study.
    config.custom_hooks = [h for h in config.custom_hooks if h.type not in _MEASURING]
    config.log_level = 'WARNING'
    _set_object_knn(config, scale)
    _set_probes(config, run)
    return config


def named_processes(file: str) -> int:
    """Processes that a config is named by: 8 of ``8xb2``; a name without is that of one."""
    found = re.search(r'_(\d+)xb\d+', file)
    return int(found[1]) if found else 1


def share_batch(config: Config, file: str, processes: int) -> None:
    """Divide the batch that a config is named by among the processes there are, in place.

    ``8xb2`` on 16 processes: one image each. A step has the 16 images that its learning rate and
    number of iterations are made for.

    Args:
        config: With the batch of one of the processes in its name.
        file: Its name; one without ``8xb2`` is that of one process.
        processes: That run it.

    Raises:
        ValueError: If the images do not divide among them.
    """
    batch = config.train_dataloader.batch_size * named_processes(file)
    if batch % processes:
        raise ValueError(
            f'{file}: a batch of {batch} images does not divide among {processes} processes: '
            'choose a number of --processes that does'
        )
    config.train_dataloader.batch_size = batch // processes


def proposal_settings(scale: Scale) -> ProposalSettings:
    """Settings of the search for the scenes of a scale."""
    own = {k: v for k, v in scale.proposals.items() if not k.startswith('filter_')}
    rule = {k.removeprefix('filter_'): v for k, v in scale.proposals.items() if k not in own}
    return ProposalSettings(**own, filter=ProposalFilter(**rule))


def set_steps(pipeline: Any, changes: Mapping[str, Any]) -> None:
    """Set arguments of the steps of a pipeline in place, wherever in it they occur.

    Args:
        pipeline: Nested configs of transforms.
        changes: Values by ``'Transform.argument'``. Only arguments are changed that a step has,
            or that belong to all steps of the type: a mask of pixels has no ``mask_size``.
    """
    for step in _steps(pipeline):
        for name, value in changes.items():
            kind, argument = name.split('.')
            if step['type'] == kind and argument in step:
                step[argument] = value


def _steps(value: Any) -> Iterator[Any]:
    """All configs of transforms in nested lists and configs."""
    if isinstance(value, Mapping):
        if 'type' in value:
            yield value
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return
    for entry in list(value):
        yield from _steps(entry)


def _set_length(config: Config, run: 'Run') -> None:
    """Schedule and warm-up, checkpoints and log in proportion to them."""
    (kind, count), (_, base) = run.length, run.base_length
    by_epoch = kind == 'epoch'
    config.train_cfg[f'max_{kind}s'] = count
    for scheduler in config.param_scheduler:
        if by_epoch:
            continue  # ends with the run, after the warm-up of the base
        warmup = run.setting.warmup
        if warmup is None:
            warmup = scheduler.get('warmup_iters', 0)
        if run.plan.size.iters:  # a shorter schedule shortens its warm-up
            warmup = warmup * base // (run.setting.iters or run.published.train_cfg.max_iters)
        if warmup >= base:
            raise ValueError(
                f'{run.name}: a warm-up of {warmup} iterations does not fit a run of {base} '
                f'(published: {run.published.train_cfg.max_iters}); use more iterations'
            )
        scheduler.end = count
        scheduler.warmup_iters = round(warmup * run.row.length)
    gap = max(1, count // 4)
    config.default_hooks.checkpoint.update(by_epoch=by_epoch, interval=gap, max_keep_ckpts=1)
    if not by_epoch:
        config.default_hooks.logger.interval = min(10, count)


def _set_object_knn(config: Config, scale: Scale) -> None:
    loader = config.object_knn_dataloader
    if scale.scenes:
        set_steps(loader.dataset.pipeline, {'ResizeWithBoxes.size': scale.size})
        loader.num_workers, loader.persistent_workers = scale.workers or 0, False
    if scale.bank_images is not None:
        for name, part in loader.dataset.datasets.items():
            if name.startswith('bank'):
                part.max_images = scale.bank_images


def _set_probes(config: Config, run: 'Run') -> None:
    """Coupling probes: pairs, exchanged backgrounds, parts; all on unseen images."""
    scale = run.plan.size
    kind = 'scenes' if scale.scenes else 'coco'
    base = Config.fromfile(shipped('configs') / f'_base_/datasets/{kind}_coupling.py')
    probes = base.coupling_diagnostics.to_dict()
    root = Path(config.get('labelled_root', config.data_root))
    # The side at which O-KNN measures objects: a ViT's position table may be made for it.
    resize = 'ResizeWithBoxes'
    seen = config.object_knn_dataloader.dataset.pipeline
    size = next(step['size'] for step in _steps(seen) if step['type'] == resize)
    where = dict(scale.probe_data)
    where['data_root'] = str(root / where.get('data_root', ''))
    for name, probe in probes.items():
        dataset = probe['dataloader']['dataset']
        dataset.update(where, seed=run.seed)
        if scale.probes:
            dataset['num'] = scale.probes[name]
        dataset['size'] = size
        if scale.min_side is not None:
            dataset['min_side'] = scale.min_side
        if scale.ratios and name == 'inter':
            # Few pictures of so small a set hold one object alone.
            dataset.update(source='crop', ratios=scale.ratios)
        if scale.ratios and name == 'intra':
            dataset['min_part'] = 0.005
        probe['dataloader'].update(batch_size=16, persistent_workers=False)
        if scale.workers is not None:
            probe['dataloader']['num_workers'] = scale.workers
    config.coupling_diagnostics = probes
