"""The hook sees a run that is made to collapse or diverge, and leaves healthy runs alone."""

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

from mmdssl.engine.hooks.health import RepresentationHealthHook
from mmdssl.registry import DATASETS, MODELS
from tests.models.tiny import tiny_batch, tiny_ibot


@DATASETS.register_module()
class NoiseViews(Dataset):
    metainfo: dict[str, Any] = {}

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> dict:
        generator = torch.Generator().manual_seed(index)
        views = [torch.randint(0, 256, (3, 16, 16), generator=generator, dtype=torch.uint8)]
        return dict(inputs=dict(views=views))


@MODELS.register_module()
class Fate(BaseModel):
    """Trains towards the fate it is given: features far apart, all equal, or infinite."""

    def __init__(self, fate: str) -> None:
        super().__init__(data_preprocessor=MODELS.build(dict(type='MultiViewPreprocessor')))
        self.backbone, self.fate = nn.Conv2d(3, 8, 4, 4), fate

    def get_backbone(self, which: str = 'auto') -> nn.Module:
        return self.backbone

    def forward(self, inputs: dict, data_samples: Any = None, mode: str = 'loss') -> dict:
        cells = self.backbone(inputs['views'][0]).transpose(0, 1).flatten(1)  # (8, N * cells)
        if self.fate == 'collapse':
            return dict(loss=(cells - 1).square().mean())
        if self.fate == 'diverge':
            return dict(loss=cells.mean() * torch.tensor(float('inf')))
        covariance = cells @ cells.T / cells.shape[1]
        return dict(loss=(covariance - torch.eye(8)).square().sum())


def run(folder: Path, fate: str, *, measured: bool = True) -> tuple[Runner, str]:
    hook = dict(type='RepresentationHealthHook', interval=10, num_images=8)
    config = Config(
        dict(
            default_scope='mmdssl',
            work_dir=str(folder),
            experiment_name=f'{folder.name}_{fate}_{measured}',
            model=dict(type='Fate', fate=fate),
            train_dataloader=dict(
                batch_size=16,
                num_workers=0,
                dataset=dict(type='NoiseViews'),
                sampler=dict(type='InfiniteSampler', shuffle=True),
                collate_fn=dict(type='default_collate'),
            ),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=120),
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.05)),
            default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=1000)),
            custom_hooks=[hook] if measured else [],
            randomness=dict(seed=3),
            log_processor=dict(by_epoch=False),
        )
    )
    runner = Runner.from_cfg(config)
    runner.train()
    logs = ''.join(path.read_text() for path in folder.glob('*/*.log'))
    return runner, logs


def warnings_in(log: str) -> list[str]:
    return [line for line in log.splitlines() if 'WARNING' in line and 'iteration' in line]


def test_a_healthy_run_is_measured_without_a_word(tmp_path):
    _, log = run(tmp_path, 'spread')
    assert warnings_in(log) == []
    lines = [json.loads(line) for line in (tmp_path / 'health.jsonl').read_text().splitlines()]
    assert [line['iter'] for line in lines] == list(range(10, 121, 10))
    assert lines[-1]['spread'] > 0.5
    assert lines[-1]['rank'] > 6
    assert all(line['grad_norm'] > 0 for line in lines)


def test_a_collapse_is_said_once(tmp_path):
    _, log = run(tmp_path, 'collapse')
    (said,) = warnings_in(log)
    assert 'the features have collapsed' in said


def test_a_divergence_is_said_once(tmp_path):
    _, log = run(tmp_path, 'diverge')
    (said,) = [line for line in warnings_in(log) if 'has diverged' in line]
    assert said == warnings_in(log)[0]


def test_measuring_leaves_the_run_bit_equal(tmp_path):
    one, _ = run(tmp_path / 'a', 'spread')
    two, _ = run(tmp_path / 'b', 'spread', measured=False)
    for ours, theirs in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_gradient_norm_is_that_of_the_step(tmp_path):
    hook = RepresentationHealthHook(interval=1)
    net = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    optimizer.register_step_pre_hook(hook._see_gradients)
    net(torch.ones(1, 3)).sum().backward()
    hook._due = True
    optimizer.step()
    # Weight gradients are six ones, bias gradients two.
    assert float(hook._gradient) == pytest.approx(8**0.5)


def test_growing_gradients_are_reported_against_their_median():
    hook = RepresentationHealthHook(max_growth=10)
    healthy = dict(spread=0.5, rank=9.0)
    for _ in range(6):
        assert hook.complaints(dict(healthy, grad_norm=2.0), 1.0) == []
    (found,) = hook.complaints(dict(healthy, grad_norm=30.0), 1.0)
    assert found[0] == 'gradient'
    assert '15 times its median' in found[1]


@pytest.mark.parametrize(
    ('numbers', 'word'),
    [
        (dict(teacher_entropy=0.01), 'one prototype'),
        (dict(teacher_image_entropy=1.0), 'prefers no'),
    ],
)
def test_a_dead_teacher_is_named_after_its_patience(numbers, word):
    hook = RepresentationHealthHook(patience=2)
    numbers = dict(spread=0.5, rank=9.0, **numbers)
    assert hook.complaints(numbers, 1.0) == []
    ((_, sentence),) = hook.complaints(numbers, 1.0)
    assert word in sentence


def test_ibot_reports_its_teacher():
    model, images = tiny_ibot(), tiny_batch()['views'][0]
    numbers = model.health(images)
    logits: Tensor = model.teacher.head.cls_logits(
        model.teacher.head.project(model.teacher.backbone.forward_tokens(images)[:, 0])
    )
    share = (logits / 0.04).softmax(dim=1)
    expected = -(share * share.log()).sum(1).mean() / torch.tensor(16.0).log()
    torch.testing.assert_close(numbers['teacher_image_entropy'], expected)
    assert numbers['center_norm'] == 0


def test_unusable_settings_are_named():
    with pytest.raises(ValueError, match='interval=0 must be at least 1'):
        RepresentationHealthHook(interval=0)
