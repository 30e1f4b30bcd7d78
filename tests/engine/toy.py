"""A host, a data set and a runner small enough to train many times in a test.

The host draws random numbers (dropout), keeps buffers (BatchNorm, a centre) and
has an EMA teacher; the data set draws from every generator. So a resumed run can
only equal an uninterrupted one if all of that is continued.
"""

import itertools
import random
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmdssl.core.clock import TrainingClock
from mmdssl.core.schedules import cosine_momentum
from mmdssl.datasets.transforms.random_streams import random_source, streams_state
from mmdssl.registry import DATASETS, MODELS

_names = itertools.count()


@MODELS.register_module()
class ToyHost(BaseModel):
    evaluated_backbone = 'student'

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.clock = TrainingClock()
        self.backbone = nn.Sequential(
            nn.Linear(4, width), nn.BatchNorm1d(width), nn.Dropout(0.3), nn.Linear(width, 3)
        )
        self.teacher = nn.Linear(4, 3).requires_grad_(False)
        self.register_buffer('center', torch.zeros(3))
        self.updates = 0

    def forward(self, inputs: torch.Tensor, index: Any = None, mode: str = 'loss') -> Any:
        out = self.backbone(inputs)
        target = self.teacher(inputs) - self.center
        with torch.no_grad():
            mean = out.float().mean(dim=0)
            all_reduce(mean, op='mean')
            self.center.lerp_(mean, 0.1)
        return dict(loss=(out - target).square().mean())

    def update_teacher(self) -> None:
        self.updates += 1
        momentum = cosine_momentum(self.clock.iteration, self.clock.max_iterations, start=0.9)
        self.teacher.weight.lerp_(self.backbone[3].weight.detach()[:, :4], 1 - momentum)


@DATASETS.register_module()
class ToyImages(Dataset):
    def __init__(self, length: int = 12) -> None:
        self.length = length
        self.metainfo = dict(classes=('a', 'b'), sizes=np.array([1, 2]))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        noise = [random.random(), np.random.rand(), torch.rand(()).item()]
        noise.append(float(random_source('dc').random()))
        return dict(inputs=torch.tensor(noise) + index, index=index)


class Recorder(Hook):
    """Image numbers of each iteration, and an action at one of them."""

    priority = 'VERY_LOW'

    def __init__(self, at: int | None = None, action: Any = None) -> None:
        self.seen: list[list[int]] = []
        self.at, self.action = at, action

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.seen.append(data_batch['index'].tolist())
        if runner.iter == self.at:
            self.action(runner)


def toy_config(
    work_dir: Any, *, epochs: int = 4, iters: int | None = None, **changes: Any
) -> Config:
    """Four epochs of three batches of four; ``iters`` makes it an iteration-based run."""
    by_epoch = iters is None
    schedule = dict(type='WarmupCosine', eta_min=1e-3)
    schedule.update(
        dict(warmup_epochs=min(1, epochs / 2), convert_to_iter_based=True)
        if by_epoch
        else dict(warmup_iters=3, by_epoch=False)
    )
    config = Config(
        dict(
            default_scope='mmdssl',
            work_dir=str(work_dir),
            experiment_name=f'toy_{next(_names)}',
            model=dict(type='ToyHost'),
            train_dataloader=dict(
                batch_size=4,
                num_workers=0,
                dataset=dict(type='ToyImages'),
                sampler=dict(
                    type='DefaultSampler' if by_epoch else 'InfiniteSampler', shuffle=True
                ),
                collate_fn=dict(type='default_collate'),
                worker_init_fn=dict(type='seed_worker'),
            ),
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs)
            if by_epoch
            else dict(type='IterBasedTrainLoop', max_iters=iters),
            optim_wrapper=dict(
                type='PerParamClipOptimWrapper',
                constructor='SelfSupOptimWrapperConstructor',
                optimizer=dict(type='AdamW', lr=0.05, weight_decay=0.04),
                clip_grad=dict(type='per_param', max_norm=3.0),
                freeze=dict(keys=('backbone.3',), epochs=1),
            ),
            param_scheduler=[schedule],
            default_hooks=dict(
                checkpoint=dict(type='SafeCheckpointHook', interval=1, by_epoch=by_epoch),
                logger=dict(type='LoggerHook', interval=100),
                finite=dict(type='FiniteStepHook'),
            ),
            custom_hooks=[dict(type='RandomStateHook'), dict(type='TeacherUpdateHook')],
            randomness=dict(seed=3),
            log_level='WARNING',
            log_processor=dict(by_epoch=by_epoch),
        )
    )
    config.merge_from_dict(changes)
    return config


def toy_runner(work_dir: Any, *, resume: Any = None, hooks: tuple = (), **kwargs: Any) -> Runner:
    """A runner of :func:`toy_config`, with hook objects added."""
    # A run starts in a process of its own, where no transform has drawn from a stream yet.
    torch.manual_seed(-1)
    streams_state()
    config = toy_config(work_dir, **kwargs)
    if resume is not None:
        config.resume, config.load_from = True, str(resume)
    runner = Runner.from_cfg(config)
    for hook in hooks:
        runner.register_hook(hook)
    return runner


def end_workers(runner: Runner) -> None:
    """End loader workers at once; left to the garbage collector they take ten seconds."""
    loop = runner.train_loop
    endless = getattr(loop, 'dataloader_iterator', None)
    for iterator in (loop.dataloader._iterator, getattr(endless, '_iterator', None)):
        if hasattr(iterator, '_shutdown_workers'):
            iterator._shutdown_workers()


def state_of(runner: Runner) -> dict[str, torch.Tensor]:
    """Weights, buffers and optimizer moments, flat."""
    state = dict(runner.model.state_dict())
    for index, moments in runner.optim_wrapper.optimizer.state_dict()['state'].items():
        state.update({f'optimizer.{index}.{name}': value for name, value in moments.items()})
    return state


def assert_same_state(got: Runner, want: Runner) -> None:
    """Bit for bit."""
    ours, theirs = state_of(got), state_of(want)
    assert ours.keys() == theirs.keys()
    different = [name for name, value in theirs.items() if not torch.equal(ours[name], value)]
    assert different == []
