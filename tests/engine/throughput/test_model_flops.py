"""Operations of a step: as they are counted by hand, and without a trace in the model."""

import copy

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import nn

from mmdssl.datasets.transforms.random_streams import random_source, streams_state
from mmdssl.engine.throughput.model_flops import flops_per_image, sample_batch


class Plain(BaseModel):
    """A product of 5 x 7, and a teacher that is only asked."""

    def __init__(self) -> None:
        super().__init__()
        self.student = nn.Linear(5, 7, bias=False)
        self.teacher = nn.Linear(5, 7, bias=False).requires_grad_(False)
        self.norm = nn.BatchNorm1d(7)
        self.dropout = nn.Dropout(0.5)

    def forward(self, inputs, data_samples=None, mode='loss'):
        own = self.norm(self.student(self.dropout(inputs)))
        return dict(loss=(own - self.teacher(inputs)).square().mean())


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return dict(inputs=torch.rand(5))


def test_products_of_both_passes_and_of_the_teacher_are_counted():
    # Student: forward and gradient of the weights (inputs need none). Teacher: forward.
    assert flops_per_image(Plain(), Numbers(), dtype=None) == 3 * 2 * 5 * 7


def test_counting_leaves_no_trace():
    model = Plain().train()
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    flops_per_image(model, Numbers(), dtype=None)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_compiled_code_hides_is_counted():
    model = Plain()
    model.student.forward = lambda inputs: torch.zeros(len(inputs), 7, requires_grad=True)
    assert flops_per_image(model, Numbers(), dtype=None) == 3 * 2 * 5 * 7
    assert 'forward' in vars(model.student)


def test_few_samples_are_repeated():
    batch = sample_batch(Numbers(), 8)['inputs']
    assert batch.shape == (8, 5)
    assert torch.equal(batch[:3], batch[3:6])


def test_sampling_moves_no_generator_and_no_stream():
    class Drawing(Numbers):
        def __getitem__(self, index):
            return dict(inputs=torch.rand(2), dc=torch.tensor(random_source('dc').random()))

    stream = random_source('dc')
    stream.random()
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), streams_state()
    first = sample_batch(Drawing(), 3)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]
    assert streams_state() == states[2]
    assert torch.equal(sample_batch(Drawing(), 3)['dc'], first['dc'])
