"""The config of a run: the arm's own, with the changes of its regime.

Pairs are made here. All arms of a seed start from the same weights and see the same images in the
same crops, flips and colours: masks draw from a random stream of their own, the branch from
another one. So the arms of a family differ in what their names say, and an arm with the branch
has the very masks of its partner (iBOT-D, whose mask tokens follow RCC as published, those of
iBOT-RCC).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from mmdssl.engine.config import load_config
from mmdssl.engine.launch import set_precision
from mmdssl.miniature.data import proposal_settings
from mmdssl.miniature.plan import Run

__all__ = ['make_config', 'make_probes', 'set_steps']

_MASKS = ('BlockwiseMask', 'GridRegions', 'RegionCollaborativeCutout', 'SquareCutout')
_STREAM = 'masks'
_MEASURING = ('ObjectKNNHook', 'CouplingHook')


def make_config(run: Run) -> Config:
    """Config of a run, ready for :func:`mmdssl.engine.launch.build_runner`.

    Raises:
        FileNotFoundError: If the arm has no config for these data.
        ValueError: If the warm-up is as long as the run.
    """
    plan, regime, training = run.plan, run.plan.regime, run.training
    root = str(plan.data_root(run.seed))
    file = run.arm.photos if plan.on_photos else run.arm.config
    config = load_config(plan.configs / file, {'data_root': root})
    published = config.train_cfg.max_iters
    config.merge_from_dict(dict(training.options))
    if run.teacher is not None:
        config.merge_from_dict({run.arm.teacher_option: str(run.teacher.checkpoint)})
    pipeline = config.train_dataloader.dataset.pipeline
    made_with = proposal_settings(regime).parameters()
    set_steps(pipeline, {**training.steps, 'LoadProposals.expect': made_with})
    for step in _steps(pipeline):
        if step['type'] in _MASKS:
            step.setdefault('stream', _STREAM)

    config.optim_wrapper.optimizer.lr *= run.arm.lr
    config.train_cfg.max_iters = run.iters
    for scheduler in config.param_scheduler:
        scheduler.end = run.iters
        scheduler.warmup_iters = round(training.warmup * run.arm.iters)
    if training.warmup >= training.iters:
        raise ValueError(
            f'{run.name}: a warm-up of {training.warmup} iterations does not fit a run of '
            f'{training.iters} (published: {published}); use more iterations'
        )
    config.train_dataloader.num_workers = regime.workers
    config.train_dataloader.persistent_workers = regime.workers > 0
    config.randomness = dict(seed=run.seed, diff_rank_seed=True)
    # Measured by a hook of ours, at the points of the plan.
    config.custom_hooks = [h for h in config.custom_hooks if h.type not in _MEASURING]
    gap = max(1, run.iters // 4)
    config.default_hooks.checkpoint.update(by_epoch=False, interval=gap, max_keep_ckpts=1)
    config.default_hooks.logger.interval = max(1, min(10, run.iters))
    config.work_dir = str(run.folder)
    config.log_level = 'WARNING'
    if regime.amp:
        set_precision(config, regime.amp)
    if not plan.on_photos:
        _set_object_knn(config, run)
    config.coupling_diagnostics = make_probes(run)
    return config


def make_probes(run: Run) -> dict[str, Any]:
    """Configs of the coupling probes: pairs, exchanged backgrounds, parts; all on unseen images."""
    plan, regime = run.plan, run.plan.regime
    kind = 'coco' if plan.on_photos else 'scenes'
    base = Config.fromfile(plan.configs / f'_base_/datasets/{kind}_coupling.py')
    probes = base.coupling_diagnostics.to_dict()
    for name, probe in probes.items():
        dataset = probe['dataloader']['dataset']
        dataset.update(
            data_root=str(plan.data_root(run.seed)),
            num=regime.probes[name],
            size=regime.size,
            min_side=regime.min_side,
            seed=run.seed,
        )
        if plan.on_photos:
            dataset.update(ann_file='annotations/instances_val2017.json', data_prefix='val2017/')
        if name == 'inter':
            # Few pictures of so small a set hold one object alone.
            dataset.update(source='crop', ratios=regime.ratios)
        if name == 'intra':
            dataset['min_part'] = 0.005
        probe['dataloader'].update(batch_size=16, num_workers=regime.workers)
        probe['dataloader']['persistent_workers'] = False
    return probes


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


def _set_object_knn(config: Config, run: Run) -> None:
    regime = run.plan.regime
    loader = config.object_knn_dataloader
    set_steps(loader.dataset.pipeline, {'ResizeWithBoxes.size': regime.size})
    loader.num_workers, loader.persistent_workers = regime.workers, False
    for name, part in loader.dataset.datasets.items():
        if name.startswith('bank'):
            part.max_images = None if regime.bank_images < 0 else regime.bank_images
