"""O-KNN during training: it sees the teacher, reports everywhere and leaves no trace."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn

from mmdssl.engine.launch import leave_process_group
from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor
from mmdssl.evaluation.object_knn import ObjectKNN
from mmdssl.registry import MODELS
from tests.coco_files import knn_loader, write_coco
from tests.ranks import join_as_launched

EVALUATOR = [
    dict(type='ObjectKNN', k=5),
    dict(type='ObjectKNN', k=5, bank='bank_disturbed', query='query_disturbed', prefix='oknn_d'),
]


def net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(8, 8, 1)
    )


@MODELS.register_module()
class KNNToyHost(BaseModel):
    """Student with BatchNorm and dropout, and a teacher that is another net."""

    def __init__(self) -> None:
        super().__init__(data_preprocessor=MODELS.build(dict(type='MultiViewPreprocessor')))
        self.backbone, self.teacher = net(), net()

    def get_backbone(self, which: str) -> nn.Module:
        return self.teacher if which == 'teacher' else self.backbone

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'loss') -> dict:
        return dict(loss=self.backbone(inputs).square().mean() + self.teacher(inputs).mean())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_coco(tmp_path / 'data', 'train', 11, seed=0)
    write_coco(tmp_path / 'data', 'val', 6, seed=1)
    return tmp_path / 'data'


def config(data: Path, name: str, *, epochs: int = 2, hook: dict | None, **changes) -> Config:
    loader = knn_loader(data)
    training = {**loader, 'sampler': dict(type='DefaultSampler', shuffle=True)}
    training['dataset'] = {
        **loader['dataset'],
        'datasets': dict(train=loader['dataset']['datasets']['bank']),
    }
    return Config(
        dict(
            default_scope='mmdssl',
            model=dict(type='KNNToyHost'),
            work_dir=str(data.parent / name),
            experiment_name=f'{data}/{name}',
            train_dataloader=training,
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
            custom_hooks=[] if hook is None else [dict(type='ObjectKNNHook', **hook)],
            default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=1)),
            object_knn_dataloader=loader,
            object_knn_evaluator=EVALUATOR,
            randomness=dict(seed=0),
            log_level='WARNING',
            **changes,
        )
    )


def train(data: Path, name: str, **settings) -> Runner:
    runner = Runner.from_cfg(config(data, name, **settings))
    runner.train()
    return runner


def records(runner: Runner, file: str = 'object_knn.jsonl') -> list[dict]:
    return [json.loads(line) for line in (Path(runner.work_dir) / file).read_text().splitlines()]


def measure(data: Path, backbone: nn.Module) -> dict:
    """The first metric by hand, without hook, loader or runner."""
    from mmengine.dataset import default_collate

    from mmdssl.registry import DATASETS

    dataset = DATASETS.build(knn_loader(data)['dataset'])
    metric = ObjectKNN(k=5)
    metric.dataset_meta = dataset.metainfo
    extractor = FeatureExtractor(backbone=backbone)
    for i in range(len(dataset)):
        samples = extractor.test_step(default_collate([dataset[i]]))
        metric.process(None, [sample.to_dict() for sample in samples])
    return metric.evaluate(len(dataset))


def test_it_measures_the_chosen_backbone_every_interval_and_at_the_end(data: Path):
    runner = train(data, 'a', epochs=3, hook=dict(interval=2, initial=True))
    found = records(runner)
    assert [(r['epoch'], r['iter']) for r in found] == [(0, 0), (2, 6), (3, 9)]
    for name, value in measure(data, runner.model.teacher).items():
        assert found[-1][name] == pytest.approx(value)
    assert 'oknn_d/top1' in found[-1]
    assert found[-1]['oknn/num_bank'] > 11
    runner = train(data, 'b', epochs=3, hook=dict(interval=2, source='student'))
    expected = measure(data, runner.model.backbone)
    assert records(runner)[-1]['oknn/top5'] == pytest.approx(expected['oknn/top5'])


def test_a_measured_run_equals_one_that_is_not(data: Path):
    plain = train(data, 'plain', hook=None).model.state_dict()
    measured = train(data, 'measured', hook=dict(interval=1, initial=True)).model.state_dict()
    for name, value in plain.items():
        assert torch.equal(value, measured[name]), name


def test_iterations_can_be_counted(data: Path):
    runner = train(data, 'c', hook=dict(interval=4, by_epoch=False))
    assert [r['iter'] for r in records(runner)] == [4, 6]


def test_numbers_reach_hub_and_visualizer(data: Path):
    runner = train(data, 'd', hook=dict(interval=1))
    last = records(runner)[-1]
    assert runner.message_hub.get_scalar('oknn/top1').current() == last['oknn/top1']
    scalars = next(Path(runner.work_dir).glob('*/vis_data/scalars.json')).read_text().splitlines()
    written = [json.loads(line) for line in scalars]
    assert dict(step=6, top1=last['oknn/top1']) in [
        dict(step=w['step'], top1=w['oknn/top1']) for w in written if 'oknn/top1' in w
    ]


def test_a_resumed_run_continues_its_file_and_a_fresh_one_begins_anew(data: Path):
    runner = train(data, 'e', hook=dict(interval=1))
    file = Path(runner.work_dir) / 'object_knn.jsonl'
    before = records(runner)
    with file.open('a') as stream:  # a later epoch that the checkpoint does not know
        stream.write('{"epoch": 3, "iter": 9, "oknn/top1": 0}\n{"epoch": 4, "it')
    resumed = train(
        data,
        'e',
        epochs=3,
        hook=dict(interval=1),
        resume=True,
        load_from=f'{runner.work_dir}/epoch_2.pth',
    )
    assert records(resumed)[:2] == before
    assert [r['iter'] for r in records(resumed)] == [3, 6, 9]
    assert records(resumed)[-1]['oknn/top1'] != 0
    assert [r['iter'] for r in records(train(data, 'e', hook=dict(interval=1)))] == [3, 6]


def test_own_loader_and_evaluator_go_before_the_configs(data: Path):
    hook = dict(
        interval=1,
        dataloader=knn_loader(data, size=16),
        evaluator=dict(type='ObjectKNN', k=1, prefix='own'),
        file='own.json',
    )
    runner = train(data, 'f', hook=hook, epochs=1)
    assert set(records(runner, 'own.json')[0]) >= {'own/top1', 'own/top5'}
    assert not any(name.startswith('oknn') for name in records(runner, 'own.json')[0])


def refused(data: Path, message: str, **changes) -> None:
    made = config(data, 'g', hook=dict(interval=1))
    made.merge_from_dict(changes)
    with pytest.raises(ValueError, match=message):
        Runner.from_cfg(made).train()


def test_a_config_without_evaluation_data_is_refused_at_the_start(data: Path):
    refused(data, 'no object_knn_dataloader', object_knn_dataloader=None)


def test_epochs_of_an_iteration_loop_are_refused_at_the_start(data: Path):
    cfg = dict(_delete_=True, by_epoch=False, max_iters=2)
    made = config(data, 'h', hook=dict(interval=1))
    made.train_cfg = {k: v for k, v in cfg.items() if k != '_delete_'}
    with pytest.raises(ValueError, match='set by_epoch=False'):
        Runner.from_cfg(made).train()


def test_a_model_without_backbones_is_refused_at_the_start(
    data: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delattr(KNNToyHost, 'get_backbone')
    refused(data, r'KNNToyHost has no method get_backbone')


def test_interval_must_be_positive(data: Path):
    with pytest.raises(ValueError, match='interval=0'):
        Runner.from_cfg(config(data, 'i', hook=dict(interval=0)))


def distributed(rank: int, rendezvous: str, data: str) -> None:
    join_as_launched(rank, rendezvous)
    evaluator = [dict(e) for e in EVALUATOR]
    hook = dict(interval=10, initial=True, evaluator=evaluator)
    wrapper = dict(type='MMDistributedDataParallel', device_ids=None)  # no GPU is meant
    runner = train(
        Path(data), 'two', epochs=1, hook=hook, launcher='pytorch', model_wrapper_cfg=wrapper
    )
    leave_process_group(runner)


def test_two_processes_measure_what_one_does(data: Path):
    mp.spawn(distributed, args=(str(data.parent / 'rendezvous'), str(data)), nprocs=2)
    one = records(train(data, 'one', epochs=1, hook=dict(interval=10, initial=True)))[0]
    lines = (data.parent / 'two' / 'object_knn.jsonl').read_text().splitlines()
    two = json.loads(lines[0])
    assert len(lines) == 2  # written by one process only
    del one['seconds'], two['seconds']
    assert two == one


def lose(data: Path, split: str, *numbers: int, in_list: bool = False) -> None:
    """Delete photos; or take them out of the list as well."""
    for number in numbers:
        (data / split / f'{number:03d}.png').unlink(missing_ok=True)
    if in_list:
        file = data / f'annotations/instances_{split}.json'
        content = json.loads(file.read_text())
        gone = {100 + number for number in numbers}
        content['images'] = [one for one in content['images'] if one['id'] not in gone]
        content['annotations'] = [a for a in content['annotations'] if a['image_id'] not in gone]
        file.write_text(json.dumps(content))


def warnings_of(runner: Runner) -> str:
    return next(Path(runner.work_dir, runner.timestamp).glob('*.log')).read_text()


class CallsBeforeStep(Hook):
    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.action()


def test_a_missing_photo_is_reported_and_ends_no_run(data: Path):
    lose(data, 'val', 2, 4)
    runner = Runner.from_cfg(config(data, 'gone', epochs=1, hook=dict(interval=1)))
    said = r'2 of 6 images named in .*instances_val.json do not exist, the first .*002.png.*004.png'
    told = []
    runner.register_hook(CallsBeforeStep(lambda: told.append(warnings_of(runner))))
    runner.train()
    assert re.search(said, told[0])
    resumed = train(
        data,
        'gone',
        hook=dict(interval=1),
        resume=True,
        load_from=f'{runner.work_dir}/epoch_1.pth',
    )
    assert re.search(said, warnings_of(resumed))
    lose(data, 'val', 2, 4, in_list=True)
    found = records(resumed)[-1]
    for name, value in measure(data, resumed.model.teacher).items():
        assert found[name] == pytest.approx(value)


@pytest.mark.parametrize(('images', 'lost'), [(6, 6), (30, 11)])
def test_many_photos_that_are_gone_are_another_folder(tmp_path: Path, images: int, lost: int):
    data = tmp_path / 'data'
    write_coco(data, 'train', 11, seed=0)
    write_coco(data, 'val', images, seed=1)
    lose(data, 'val', *range(lost))
    with pytest.raises(FileNotFoundError, match=f'{lost} of {images} images named in'):
        train(data, 'many', hook=dict(interval=1))


def test_who_measures_and_nothing_else_gets_an_error(data: Path):
    lose(data, 'val', 2)
    with pytest.raises(FileNotFoundError, match='1 of 6 images named in'):
        measure(data, net())
