"""What every host inherits: which backbone is kept, and when the teacher takes which step."""

import pytest
import torch

from mmdssl.core.schedules import cosine_momentum
from mmdssl.models.algorithms.ibot import IBOT
from tests.models.tiny import tiny_ibot


@pytest.mark.parametrize('kept', ['teacher', 'student'])
def test_the_host_says_which_backbone_is_kept(monkeypatch, kept):
    monkeypatch.setattr(IBOT, 'evaluated_backbone', kept)
    model = tiny_ibot()
    assert model.get_backbone() is model.get_backbone(kept)
    with pytest.raises(ValueError, match="'both'"):
        model.get_backbone('both')


def test_the_teacher_begins_as_the_student():
    model = tiny_ibot()
    student = {name: value for name, value in model.state_dict().items() if 'teacher' not in name}
    assert len(student) > 20
    for name, value in model.teacher.state_dict().items():
        assert name == 'backbone.mask_token' or torch.equal(value, student[name]), name


@pytest.mark.parametrize('lag', [0, 1])
def test_the_teacher_takes_the_momentum_of_its_step(monkeypatch, lag):
    monkeypatch.setattr(IBOT, 'update_offset', lag)
    model = tiny_ibot(momentum=(0.5, 1.0))
    model.clock.set(iteration=4, max_iterations=10)
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.add_(1.0)
    before = model.teacher.backbone.layers[0].ln1.weight.clone()
    model.update_teacher()
    momentum = cosine_momentum(4 + lag, 10, start=0.5, end=1.0)
    moved = model.teacher.backbone.layers[0].ln1.weight - before
    torch.testing.assert_close(moved, torch.full_like(moved, 1 - momentum))


def test_a_batch_too_small_for_the_branch_is_refused_before_training():
    model = tiny_ibot(decoupling=dict(type='DecouplingBranch', sample_ratio=0.25))
    with pytest.raises(ValueError, match=r'sample_ratio=0\.25 of 3 images'):
        model.check_data(batch_size=3, num_images=100)
