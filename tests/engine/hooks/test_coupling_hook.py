"""Coupling during training: it sees the teacher, reports everywhere and leaves no trace."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmdssl.evaluation.measure import build_diagnostics, measure_diagnostics
from mmdssl.registry import DATASETS, MODELS
from tests.datasets.diagnostics.diagnostic_files import write_objects


def net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(8, 8, 1)
    )


@MODELS.register_module()
class CouplingToyHost(BaseModel):
    """Student with BatchNorm and dropout, and a teacher that is another net."""

    evaluated_backbone = 'teacher'

    def __init__(self) -> None:
        super().__init__(data_preprocessor=MODELS.build(dict(type='MultiViewPreprocessor')))
        self.backbone, self.teacher = net(), net()

    def get_backbone(self, which: str) -> nn.Module:
        return self.teacher if which == 'teacher' else self.backbone

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'loss') -> dict:
        return dict(loss=self.backbone(inputs).square().mean() + self.teacher(inputs).mean())


@DATASETS.register_module()
class NoisePixels(Dataset):
    metainfo: dict[str, Any] = {}

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8))


@pytest.fixture(scope='module')
def diagnostics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    files = write_objects(tmp_path_factory.mktemp('objects'), images=16, classes=4)
    loader = dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
    )
    pairs = dict(type='ObjectPairs', num=8, size=32, patch_size=4, remove='auto', **files)
    parts = dict(type='ObjectParts', num=8, size=32, **files)
    return dict(
        inter=dict(
            dataloader=dict(**loader, dataset=pairs), evaluator=dict(type='InterObjectCoupling')
        ),
        intra=dict(
            dataloader=dict(**loader, dataset=parts), evaluator=dict(type='IntraObjectCoupling')
        ),
    )


def config(folder: Path, diagnostics: dict | None, *, hook: dict | None, **changes: Any) -> Config:
    changes = dict(train_cfg=dict(by_epoch=True, max_epochs=2)) | changes
    return Config(
        dict(
            default_scope='mmdssl',
            model=dict(type='CouplingToyHost'),
            work_dir=str(folder),
            experiment_name=str(folder),
            train_dataloader=dict(
                batch_size=4,
                num_workers=0,
                dataset=dict(type='NoisePixels'),
                sampler=dict(type='DefaultSampler', shuffle=True),
                collate_fn=dict(type='default_collate'),
            ),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
            custom_hooks=[] if hook is None else [dict(type='CouplingHook', **hook)],
            default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=1)),
            coupling_diagnostics=diagnostics,
            randomness=dict(seed=0),
            log_level='WARNING',
            **changes,
        )
    )


def train(folder: Path, diagnostics: dict | None, **settings: Any) -> Runner:
    runner = Runner.from_cfg(config(folder, diagnostics, **settings))
    runner.train()
    return runner


def records(runner: Runner) -> list[dict]:
    lines = (Path(runner.work_dir) / 'coupling.jsonl').read_text().splitlines()
    return [json.loads(line) for line in lines]


CHEAP = dict(interval=1, num=4, ratios=(0.0, 0.5))


def test_it_measures_a_few_samples_of_the_teacher_every_interval(tmp_path, diagnostics):
    runner = train(tmp_path, diagnostics, hook=dict(CHEAP, initial=True))
    found = records(runner)
    assert [(r['epoch'], r['iter']) for r in found] == [(0, 0), (1, 3), (2, 6)]
    assert found[-1]['cr_inter/last/pairs'] == found[-1]['cr_intra/last/parts'] == 4
    assert [n for n in found[-1] if n.startswith('cr_inter/last@') and n.endswith('/mean')] == [
        'cr_inter/last@0/mean',
        'cr_inter/last@0.5/mean',
    ]
    cheap = {
        name: {
            **diagnostic,
            'dataloader': {
                **diagnostic['dataloader'],
                'dataset': {**diagnostic['dataloader']['dataset'], 'num': 4}
                | (dict(ratios=(0.0, 0.5)) if name == 'inter' else {}),
            },
        }
        for name, diagnostic in diagnostics.items()
    }
    teacher = runner.model.teacher
    for name, value in measure_diagnostics(
        teacher, None, build_diagnostics(cheap, backbone=teacher)
    ).items():
        assert found[-1][name] == pytest.approx(value), name
    assert found[0]['cr_inter/last/mean'] != found[-1]['cr_inter/last/mean']
    # The same numbers where one looks for them during a run.
    last = found[-1]['cr_intra/last/mean']
    assert runner.message_hub.get_scalar('cr_intra/last/mean').current() == last
    scalars = next(Path(runner.work_dir).glob('*/vis_data/scalars.json')).read_text().splitlines()
    written = [json.loads(line) for line in scalars]
    assert dict(step=6, mean=last) in [
        dict(step=w['step'], mean=w['cr_intra/last/mean'])
        for w in written
        if 'cr_intra/last/mean' in w
    ]


def test_a_measured_run_equals_one_that_is_not(tmp_path, diagnostics):
    plain = train(tmp_path / 'plain', diagnostics, hook=None).model
    measured = train(tmp_path / 'measured', diagnostics, hook=dict(CHEAP, initial=True)).model
    for name, value in plain.state_dict().items():
        assert torch.equal(value, measured.state_dict()[name]), name
    assert [m.training for m in plain.modules()] == [m.training for m in measured.modules()]


def test_a_resumed_run_continues_its_file(tmp_path, diagnostics):
    before = records(train(tmp_path, diagnostics, hook=CHEAP))
    resumed = train(
        tmp_path,
        diagnostics,
        hook=CHEAP,
        resume=True,
        load_from=str(tmp_path / 'epoch_1.pth'),
        train_cfg=dict(by_epoch=True, max_epochs=3),
    )
    after = records(resumed)
    assert [r['iter'] for r in after] == [3, 6, 9]
    assert after[0] == before[0]


def test_numbers_of_samples_and_ratios_may_be_left_as_they_are(tmp_path, diagnostics):
    own = dict(inter=diagnostics['inter'])
    hook = dict(interval=9, num=None, ratios=None, layers=['4'], diagnostics=own, source='student')
    (found,) = records(train(tmp_path, None, hook=hook))
    assert found['cr_inter/4/pairs'] == 8
    assert 'cr_inter/4@0.9/mean' in found


def test_the_log_has_averages_only(tmp_path, diagnostics):
    from mmdssl.engine.hooks import CouplingHook

    hook = CouplingHook()
    assert hook.shown('cr_inter/last/mean', 1.23456) == 'cr_inter/last/mean: 1.235'
    assert hook.shown('cr_inter/last@0.5/mean', 1.2) == ''
    assert hook.shown('cr_inter/last/pairs', 32.0) == ''


@pytest.mark.parametrize(
    ('hook', 'named', 'message'),
    [
        (dict(interval=0), True, 'CouplingHook: interval=0'),
        (CHEAP, False, 'CouplingHook: the config has no coupling_diagnostics.*coco_coupling.py'),
        (dict(CHEAP, layers=['C9']), True, "no layer 'C9'"),
        (dict(CHEAP, num=99), True, 'not the 99 asked for'),
    ],
)
def test_what_cannot_be_measured_is_refused_before_training(
    tmp_path, diagnostics, hook, named, message
):
    with pytest.raises(ValueError, match=message):
        train(tmp_path, diagnostics if named else None, hook=hook)
    assert not list(tmp_path.glob('*.pth'))
