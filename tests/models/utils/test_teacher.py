"""The teacher follows parameters slowly; its mode decides whose statistics BatchNorm keeps."""

import pytest
import torch
from torch import nn

from mmdssl.models.utils.teacher import EMATeacher


def net(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    net(torch.randn(4, 3, 8, 8))
    return net


def test_parameters_move_by_the_stated_share():
    teacher, student = EMATeacher(dict(backbone=net(1)), train_mode=False), net(2)
    before = [p.clone() for p in teacher.parameters()]
    teacher.update(dict(backbone=student), momentum=0.9)
    for old, new, followed in zip(before, teacher.parameters(), student.parameters(), strict=True):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * followed)


def test_in_evaluation_mode_the_student_statistics_are_taken_over():
    teacher, student = EMATeacher(dict(backbone=net(1)), train_mode=False), net(2)
    teacher.update(dict(backbone=student), momentum=1.0)
    for name, buffer in student.named_buffers():
        assert torch.equal(teacher.backbone.get_buffer(name), buffer)


def test_in_training_mode_only_its_own_passes_move_the_statistics():
    teacher, student = EMATeacher(dict(backbone=net(1)), train_mode=True), net(2)
    norm = teacher.backbone[1]
    before = norm.running_mean.clone()
    teacher.update(dict(backbone=student), momentum=0.5)
    assert torch.equal(norm.running_mean, before)
    teacher.backbone(torch.randn(4, 3, 8, 8))
    assert not torch.equal(norm.running_mean, before)


@pytest.mark.parametrize('train_mode', [True, False])
def test_a_copy_is_whole(train_mode):
    teacher, student = EMATeacher(dict(backbone=net(1)), train_mode=train_mode), net(2)
    teacher.copy_from(dict(backbone=student))
    expected = student.state_dict()
    assert all(torch.equal(v, expected[n]) for n, v in teacher.backbone.state_dict().items())


def test_a_dropped_parameter_is_gone_and_the_rest_follows():
    teacher = EMATeacher(dict(backbone=net(1)), drop=('backbone.0.bias',), train_mode=False)
    teacher.update(dict(backbone=net(2)), momentum=0.0)
    assert teacher.backbone[0].bias is None
    assert torch.equal(teacher.backbone[0].weight, net(2)[0].weight)
