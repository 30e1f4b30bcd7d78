"""Statistics of a whole stream by value, at the moment that counts, and nothing else changes."""

from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import BatchSampler, Dataset

from mmdssl.engine.hooks import precise_batch_norm
from mmdssl.engine.hooks.precise_batch_norm import (
    PreciseBatchNormHook,
    measure_batch_statistics,
)
from mmdssl.registry import DATASETS, MODELS


@DATASETS.register_module()
class NumberedNoise(Dataset):
    metainfo: dict[str, Any] = {}

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> dict:
        generator = torch.Generator().manual_seed(index)
        return dict(inputs=index + torch.randn(3, 4, 4, generator=generator))


@DATA_SAMPLERS.register_module()
class Pairs(BatchSampler):
    """As mmdet's grouping by aspect ratio: the loader has no batch size then."""

    def __init__(self, sampler: Any, batch_size: int) -> None:
        super().__init__(sampler, batch_size, drop_last=True)


@MODELS.register_module()
class Norms(BaseModel):
    """A norm called twice, one that is frozen, one that nothing reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.frozen, self.idle = (nn.BatchNorm2d(3) for _ in range(3))
        self.scale = nn.Parameter(torch.ones(()))
        self.seen: list[Tensor] = []

    def train(self, mode: bool = True) -> 'Norms':
        super().train(mode)
        self.frozen.eval()
        return self

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor') -> dict:
        assert mode == 'loss'
        inputs = torch.stack(list(inputs)) if not isinstance(inputs, Tensor) else inputs
        small = inputs[:1, :, :2] - 3.0
        self.seen += [inputs, small]
        return dict(loss=self.scale * (self.norm(inputs).sum() + self.norm(small).sum()))


def values(model: Norms) -> Tensor:
    """All that the norm was shown, (channels, values)."""
    return torch.cat([x.transpose(0, 1).flatten(1) for x in model.seen], dim=1)


def test_statistics_are_those_of_all_values_together():
    model = Norms().train()
    start = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    batches = [
        dict(inputs=i + torch.randn(n, 3, 6, 6, generator=generator))
        for i, n in enumerate((4, 2, 7))
    ]
    assert measure_batch_statistics(model, batches) == 2
    seen = values(model)
    torch.testing.assert_close(model.norm.running_mean, seen.mean(1))
    # unbiased within each call, so a few per mille above the biased variance of everything
    torch.testing.assert_close(
        model.norm.running_var, seen.var(1, correction=0), rtol=0.02, atol=0.0
    )
    assert model.norm.momentum == 0.1
    assert model.norm.training
    for name in ('frozen.running_mean', 'frozen.running_var', 'idle.running_mean', 'scale'):
        assert torch.equal(model.state_dict()[name], start[name]), name
    assert not model.norm._forward_hooks


def test_processes_count_by_what_they_have_seen(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    batches = [
        dict(inputs=shift + torch.randn(n, 3, 6, 6, generator=generator))
        for shift, n in ((0, 4), (3, 9))
    ]
    sent: list[Tensor] = []
    monkeypatch.setattr(precise_batch_norm, 'all_reduce', lambda total: sent.append(total.clone()))
    other, own = Norms().train(), Norms().train()
    measure_batch_statistics(other, batches[:1])
    monkeypatch.setattr(precise_batch_norm, 'all_reduce', lambda total: total.add_(sent.pop(0)))
    measure_batch_statistics(own, batches[1:])
    assert not sent
    seen = torch.cat([values(other), values(own)], dim=1)
    torch.testing.assert_close(own.norm.running_mean, seen.mean(1))
    torch.testing.assert_close(own.norm.running_var, seen.var(1), rtol=0.02, atol=0.0)


def test_a_failing_batch_leaves_the_statistics_as_they_were():
    model = Norms().train()
    with pytest.raises(TypeError):
        measure_batch_statistics(model, [dict(inputs=torch.randn(2, 3, 6, 6)), dict(wrong=1)])
    assert torch.equal(model.norm.running_mean, torch.zeros(3))
    assert torch.equal(model.norm.running_var, torch.ones(3))
    assert model.norm.momentum == 0.1


def run(folder, **train_cfg) -> Runner:
    config = Config(
        dict(
            default_scope='mmdssl',
            work_dir=str(folder),
            experiment_name=folder.name,
            model=dict(type='Norms'),
            train_dataloader=dict(
                dataset=dict(type='NumberedNoise'),
                sampler=dict(type='InfiniteSampler', shuffle=False),
                batch_sampler=dict(type='Pairs'),
                batch_size=2,
                num_workers=0,
                collate_fn=dict(type='default_collate'),
            ),
            train_cfg=train_cfg or dict(type='IterBasedTrainLoop', max_iters=4),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_hooks=dict(
                checkpoint=dict(type='SafeCheckpointHook', by_epoch=False, interval=3)
            ),
            custom_hooks=[dict(type='PreciseBatchNormHook', num_batches=3, interval=3)],
            visualizer=dict(type='Visualizer'),
        )
    )
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def test_measured_before_the_checkpoint_and_training_goes_on(tmp_path):
    model = run(tmp_path / 'run').model
    assert len(model.seen) == 2 * (4 + 3)  # 3 batches more than trained on
    measured = Norms()
    measured.seen = model.seen[6:12]
    stored = torch.load(tmp_path / 'run/iter_3.pth', weights_only=True)['state_dict']
    torch.testing.assert_close(stored['norm.running_mean'], values(measured).mean(1))
    # the stream was followed, not begun anew: images 6 to 11 of 12
    assert values(measured).mean() == pytest.approx(8.5 - 0.3, abs=0.6)
    assert not torch.equal(model.norm.running_mean, stored['norm.running_mean'])


def test_a_run_by_epochs_is_refused_before_it_starts(tmp_path):
    with pytest.raises(ValueError, match='runs by iterations'):
        run(tmp_path / 'epochs', type='EpochBasedTrainLoop', max_epochs=1)


@pytest.mark.parametrize('numbers', [dict(num_batches=0, interval=1), dict(interval=0)])
def test_numbers_below_one_are_refused(numbers):
    with pytest.raises(ValueError, match='at least 1'):
        PreciseBatchNormHook(**numbers)
