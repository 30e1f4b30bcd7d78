"""A tiny MaskAlign, its teacher and a batch for them."""

import torch
from torch import nn

from mmdssl.models.algorithms.maskalign import MaskAlign
from mmdssl.models.utils.frozen_teacher import FrozenTeacher

SIDE, PATCH = 32, 8
GRID = SIDE // PATCH
DEPTH = 3
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def arch(width: int, depth: int = DEPTH, heads: int = 2) -> dict:
    return dict(embed_dims=width, num_layers=depth, num_heads=heads, feedforward_channels=2 * width)


def student_config(**kwargs) -> dict:
    return {**dict(type='SinCosViT', arch=arch(24), img_size=SIDE, patch_size=PATCH), **kwargs}


def teacher_config(**kwargs) -> dict:
    vit = dict(type='DenseViT', arch=arch(16), img_size=SIDE, patch_size=PATCH)
    return dict(type='FrozenTeacher', backbone={**vit, **kwargs}, init='random')


def noisy(module: nn.Module, scale: float = 0.2) -> None:
    """Weights far from their initialisation, so that every term counts."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape) * scale)


def tiny_teacher(**kwargs) -> FrozenTeacher:
    torch.manual_seed(3)
    teacher = FrozenTeacher(**{k: v for k, v in teacher_config(**kwargs).items() if k != 'type'})
    teacher.init_weights()
    noisy(teacher)
    return teacher


def tiny_maskalign(**kwargs) -> MaskAlign:
    """Student of width 24, teacher of width 16, depth 3, 4x4 patches of which 4 are kept."""
    teacher = kwargs.pop('teacher', None) or tiny_teacher()
    torch.manual_seed(0)
    settings = dict(
        backbone=student_config(), teacher=teacher, layers='top2', data_preprocessor=None
    )
    model = MaskAlign(**{**settings, **kwargs})
    kept = {name: value.clone() for name, value in model.teacher.state_dict().items()}
    model.init_weights()
    model.teacher.load_state_dict(kept)
    noisy(model.backbone, 0.05)
    model.clock.set(iteration=0, max_iterations=10, iterations_per_epoch=5)
    return model


def tiny_batch(size: int = 8, *, seed: int = 1) -> dict:
    """A view and masks of the branch."""
    generator = torch.Generator().manual_seed(seed)
    views = [torch.randn(size, 3, SIDE, SIDE, generator=generator)]
    return dict(views=views, dc_mask=[torch.rand(size, GRID, GRID, generator=generator) < 0.4])
