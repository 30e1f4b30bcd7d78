"""What is measured of a finished run: position bias, layer by layer, data, transfer, cost.

Each function gives numbers by name, which stand beside those of the run's end. None of them changes
the run, so a study may ask for one more at any time.
"""

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from mmdssl.core.checkpointing import atomic_save, atomic_text
from mmdssl.core.shipped import shipped
from mmdssl.studies.recipe import make_config, share_batch
from mmdssl.studies.run import Run

__all__ = ['MEASURES', 'START', 'measure_afterwards', 'missing_measures', 'numbers_of']

#: Before the names of what was measured of the network that a run starts from.
START = 'start/'
_DEPTHS = 4
_READ = ('data', 'cost')


def _position(run: Run) -> dict[str, float]:
    """MCS of the last map: one picture in nine places (D3SSL, Fig. 4b)."""
    from mmdssl.models.utils.backbone_weights import load_backbone
    from mmdssl.registry import MODELS

    config = make_config(run)
    backbone = MODELS.build({**config.model.backbone})
    load_backbone(backbone, run.checkpoint)
    return _read(config, backbone, _grids(config), max_images=1)


def _layers(run: Run) -> dict[str, float]:
    """Coupling and MCS at four depths (D3SSL, Fig. 3b and 4b).

    Where a run starts from random weights, the same of such a network, ``start/`` before its names:
    one drawn with the seed of the run, not with its very weights.
    """
    import torch

    from mmdssl.evaluation.guards import preserve_rng_state
    from mmdssl.models.utils.backbone_weights import load_backbone
    from mmdssl.registry import MODELS

    config = make_config(run)
    found: dict[str, float] = {}
    for start in (False,) if run.row.continues else (False, True):
        with preserve_rng_state():
            torch.manual_seed(run.seed)
            backbone = MODELS.build({**config.model.backbone})
            if start:
                backbone.init_weights()
            else:
                load_backbone(backbone, run.checkpoint)
        inter = config.coupling_diagnostics.inter.to_dict()
        numbers = _read(config, backbone, inter, depths=_DEPTHS)
        numbers |= _read(config, backbone, _grids(config), depths=_DEPTHS, max_images=1)
        found |= {f'{START if start else ""}{name}': value for name, value in numbers.items()}
    return found


def _grids(config: Any) -> dict[str, Any]:
    """The diagnostic of position bias, on pictures of the one of coupling."""
    inter = config.coupling_diagnostics.inter.dataloader.dataset
    images = dict(
        type='ImageGrids',
        data_root=str(Path(inter.data_root) / inter.data_prefix),
        num=min(16, inter.num),
        seed=0,
        cell=inter.size,
        stride=32,
    )
    loader = dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=images,
    )
    return dict(dataloader=loader, evaluator=dict(type='PositionalSimilarity'))


def _read(
    config: Any, backbone: Any, diagnostic: Mapping[str, Any], *, depths: int = 1, **options: Any
) -> dict[str, float]:
    """A diagnostic of a network at so many depths, the last map among them."""
    from mmengine.device import get_device
    from mmengine.registry import DefaultScope

    from mmdssl.evaluation.layers import layers_by_depth
    from mmdssl.evaluation.measure import build_diagnostic, measure

    probe = build_diagnostic(
        diagnostic, backbone=backbone, layers=layers_by_depth(backbone, depths)
    )
    preprocessor = config.model.data_preprocessor.to_dict()
    backbone.to(get_device())
    with DefaultScope.overwrite_default_scope('mmdssl'):  # fine-tuning before it has left another
        return measure(
            backbone,
            preprocessor,
            probe.loader,
            probe.metrics,
            layers=probe.layers,
            progress=False,
            **options,
        )


def _data(run: Run) -> dict[str, float]:
    """How many photos, objects and classes a run learns from (D3SSL, Table 2).

    By what ``mmdssl openimages`` says of its choice where the config names that file, otherwise by
    the labels that O-KNN has of the training images.
    """
    from mmdssl.core.text_files import read_json

    config = run.published
    if 'data_report' in config:
        known = read_json(Path(config.data_report))
    else:
        objects = config.object_knn_dataloader.dataset
        known = _count(read_json(Path(objects.data_root) / objects.datasets.bank.ann_file))
    names = ('images', 'objects_per_image', 'categories', 'categories_per_image')
    return {f'data/{name}': float(known[name]) for name in names}


def _count(content: Mapping[str, Any]) -> dict[str, float]:
    """Of a COCO file, crowds among the objects, as ``mmdssl openimages`` counts groups."""
    images, objects = len(content['images']), content['annotations']
    pairs = {(one['image_id'], one['category_id']) for one in objects}
    return dict(
        images=images,
        objects_per_image=len(objects) / images,
        categories=len({category for _, category in pairs}),
        categories_per_image=len(pairs) / images,
    )


def _transfer(run: Run, judge: str) -> dict[str, float]:
    """Scores of a detector or segmentor that is fine-tuned from the network."""
    from mmdssl.conversion.convert import export_backbone
    from mmdssl.engine.config import load_config
    from mmdssl.engine.fine_tuned import build_test_runner
    from mmdssl.engine.launch import build_runner, find_checkpoint, prepare_config, train

    folder = run.folder / _judged(judge)
    root = run.plan.data_root(run.seed)
    if root is not None:
        labelled = Path(run.published.get('labelled_root', root))
        root = root / 'voc' if 'voc' in judge else labelled
    config = load_config(
        shipped('configs') / judge,
        {} if root is None else {'data_root': str(root)},
    )
    weights = folder / 'backbone.pth'
    if not weights.exists():
        folder.mkdir(parents=True, exist_ok=True)
        found = export_backbone(
            run.checkpoint, to=config.default_scope, c4='c4' in Path(judge).name
        )
        atomic_save(dict(state_dict=found.state, meta=found.meta), weights)
    config = _with_weights(config, str(weights))
    if run.plan.size.iters:
        config.train_cfg.max_iters = config.train_cfg.val_interval = run.plan.size.iters
    config.work_dir = str(folder)
    share_batch(config, judge, run.processes)
    if run.processes > 1:
        prepare_config(config, launcher='pytorch')
    config.randomness = {**(config.get('randomness') or {}), 'seed': run.seed}
    found_at = find_checkpoint(folder, 'auto')
    config.resume, config.load_from = found_at is not None, found_at and str(found_at)
    train(build_runner(config))
    scores = build_test_runner(config, find_checkpoint(folder, 'auto'), str(folder / 'test')).test()
    return _in_percent(scores, config.default_scope)


def _in_percent(scores: Mapping[str, Any], framework: str) -> dict[str, float]:
    """As papers print them: mmdet gives shares of 1, and -1 for sizes that no object has."""
    factor = 100.0 if framework == 'mmdet' else 1.0
    return {f'transfer/{name}': factor * value for name, value in scores.items() if value >= 0}


def _with_weights(config: Any, weights: str) -> Any:
    """A config whose networks start from a file, wherever it names the published one's place."""
    from mmengine.config import Config

    published = config.pretrained

    def changed(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: changed(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(changed(entry) for entry in value)
        return weights if value == published else value

    return Config(changed(config.to_dict()), filename=config.filename)


def _cost(run: Run) -> dict[str, float]:
    """Time and memory of an iteration as the training log has them, and the size of the network."""
    files = sorted(run.folder.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    found = {
        'cost/ms': [1000 * line['time'] for line in lines if 'time' in line],
        'cost/memory': [line['memory'] for line in lines if 'memory' in line],
    }
    numbers = {name: float(median(values)) for name, values in found.items() if values}
    if 'cost/ms' in numbers:
        steps = max(line['step'] for line in lines if 'time' in line)
        numbers['cost/hours'] = numbers['cost/ms'] * steps / 3.6e6
    return numbers


MEASURES: Mapping[str, Callable[[Run], dict[str, float]]] = {
    'position': _position,
    'layers': _layers,
    'data': _data,
    'cost': _cost,
}


def _judged(judge: str) -> str:
    """What the scores by a judge are kept as: studies that share a run may have others."""
    return f'transfer-{Path(judge).stem}'


def _wanted(run: Run) -> dict[str, Callable[[Run], dict[str, float]]]:
    """What the study wants to know of a run, by the name of its file."""
    if run.row.statistic:  # there is no network
        return {}
    found: dict[str, Callable[[Run], dict[str, float]]] = {}
    for name in run.plan.measures:
        if name == 'transfer':
            found |= {_judged(one): partial(_transfer, judge=one) for one in run.setting.judges}
        else:
            found[name] = MEASURES[name]
    return found


def _file(run: Run, name: str) -> Path:
    return run.folder / f'{name}.json'


def missing_measures(run: Run) -> list[str]:
    """What the study wants to know of a run and has not measured; controls as well."""
    return [name for name in _wanted(run) if not _file(run, name).exists()]


def measure_afterwards(run: Run) -> None:
    """Measure what is missing of a trained run; all of its processes, but what is only read."""
    first = int(os.environ.get('RANK', 0)) == 0
    for name in missing_measures(run):
        if first or name not in _READ:
            numbers = _wanted(run)[name](run)
        if first:
            atomic_text(json.dumps(numbers, indent=1) + '\n', _file(run, name))


def numbers_of(run: Run) -> dict[str, float]:
    """All that was measured of a run after its end."""
    found: dict[str, float] = {}
    for name in _wanted(run):
        file = _file(run, name)
        found |= json.loads(file.read_text()) if file.exists() else {}
    return found
