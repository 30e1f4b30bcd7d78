"""How the arms of each family are trained: what changes in their configs, at two sizes.

``options`` are changes of a config by dotted name; ``steps`` are changes of the steps of its
training pipeline by ``'Transform.argument'``, wherever the step occurs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    'Training',
    'large',
    'small_densecl',
    'small_ibot',
    'small_leopart',
    'small_maskalign',
    'small_soco',
]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the arms of one family are trained.

    Attributes:
        iters: Iterations of the schedule; controls may change them by their factor.
        warmup: Iterations of warm-up among them.
        seconds: Estimated seconds of the base on one core of a 2-core cloud machine (``cpu``) or
            one GPU (``gpu``), all measurements included; for the plan and the first guess of the
            progress bar.
        options: Changes of the config.
        steps: Changes of pipeline steps.
    """

    iters: int
    warmup: int
    seconds: float
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Any] = field(default_factory=dict)


def small_ibot(*, side: int, patch: int, scale: tuple[float, float], batch: int, lr: float) -> dict:
    """What the small ViT of the ``cpu`` scale needs: width 96, depth 4, 512 prototypes."""
    cells = (side // patch, side // patch)
    return dict(
        options={
            'model.backbone.arch': dict(
                embed_dims=96, num_layers=4, num_heads=3, feedforward_channels=384
            ),
            'model.backbone.img_size': side,
            'model.backbone.patch_size': patch,
            'model.head.in_channels': 96,
            'model.momentum': (0.98, 1.0),
            'optim_wrapper.optimizer.lr': lr,
            'train_dataloader.batch_size': batch,
        },
        steps={
            'RandomResizedCropWithBoxes.size': side,
            'RandomResizedCropWithBoxes.scale': scale,
            'BlockwiseMask.mask_size': cells,
            'RegionCollaborativeCutout.mask_size': cells,
        },
    )


def small_densecl(*, side: int, scale: tuple[float, float], lr: float) -> dict:
    """ResNet-18 of half width whose last stage keeps the resolution: side / 16 cells."""
    return dict(
        options={
            'model.backbone.strides': (1, 2, 2, 1),
            'model.queue_length': 1024,
            'optim_wrapper.optimizer.lr': lr,
            'train_dataloader.batch_size': 32,
        },
        steps={
            'RandomResizedCropWithBoxes.size': side,
            'RandomResizedCropWithBoxes.scale': scale,
        },
    )


def small_soco(*, side: int, scale: tuple[float, float], lr: float) -> dict:
    """ResNet-18 of half width whose C4 has side / 8 cells; a box takes 4x4 cells of it."""
    return dict(
        options={
            'model.backbone.strides': (1, 2, 1, 2),
            'optim_wrapper.optimizer.lr': lr,
            'train_dataloader.batch_size': 32,
        },
        steps={
            'ResizeWithBoxes.size': side,
            'RandomResizedCropWithBoxes.size': side,
            'RandomResizedCropWithBoxes.scale': scale,
        },
    )


def small_maskalign(*, side: int, patch: int, scale: tuple[float, float], lr: float) -> dict:
    """A student of the size of :func:`small_ibot`, whose network is the teacher."""
    small = small_ibot(side=side, patch=patch, scale=scale, batch=32, lr=lr)
    network = {
        key: value for key, value in small['options'].items() if key.startswith('model.backbone.')
    }
    return dict(
        options={
            **network,
            **{key.replace('model.', 'model.teacher.'): v for key, v in network.items()},
            'optim_wrapper.optimizer.lr': lr,
        },
        steps=small['steps'],
    )


def small_leopart(
    *,
    side: int,
    patch: int,
    scale: tuple[float, float],
    local_scale: tuple[float, float],
    lr: float,
) -> dict:
    """The network of :func:`small_ibot`, further trained; local crops of half the side."""
    small = small_ibot(side=side, patch=patch, scale=scale, batch=24, lr=lr)
    options = {k: v for k, v in small['options'].items() if k != 'model.momentum'}
    return dict(
        options=options | _leopart_crops((side, side // 2), (scale, local_scale)),
        steps={
            'RegionCollaborativeCutout.mask_size': (side // patch, side // patch),
        },
    )


def _leopart_crops(sizes: tuple[int, int], scales: tuple[Any, Any]) -> dict[str, Any]:
    """Sizes and scales of global and local crops, which are steps of one type."""
    views = 'train_dataloader.dataset.pipeline.1.pipelines'
    return {
        f'{views}.{kind}.0.{argument}': values[kind]
        for argument, values in (('size', sizes), ('scale', scales))
        for kind in range(2)
    }


_GPU_IBOT = {
    'model.backbone.arch': 'deit-small',
    'model.backbone.img_size': 224,
    'model.backbone.patch_size': 16,
    'model.head.in_channels': 384,
    'model.head.hidden_channels': 2048,
    'model.head.bottleneck_channels': 256,
    'model.head.out_channels': 4096,
    'model.momentum': (0.992, 1.0),
    'optim_wrapper.optimizer.lr': 5e-4,
    'train_dataloader.batch_size': 128,
}
_GPU_VIT = {key: value for key, value in _GPU_IBOT.items() if key.startswith('model.backbone.')}
_GPU_MASKALIGN = {
    **_GPU_VIT,
    **{key.replace('model.', 'model.teacher.'): value for key, value in _GPU_VIT.items()},
    'model.layers': 'top5',
    'optim_wrapper.optimizer.lr': 5e-4,
    'train_dataloader.batch_size': 128,
}
_GPU_LEOPART = {
    **_GPU_VIT,
    'model.head.in_channels': 384,
    'model.head.hidden_channels': 2048,
    'model.head.bottleneck_channels': 256,
    'model.head.num_prototypes': 300,
    'model.queue_length': 8192,
    'optim_wrapper.optimizer.lr': 5e-4,
    'train_dataloader.batch_size': 64,
}
_GPU_RESNET = {
    'model.backbone.depth': 50,
    'model.backbone.stem_channels': 64,
    'model.backbone.base_channels': 64,
    'model.neck.in_channels': 2048,
    'train_dataloader.batch_size': 128,
}


def large(scale: tuple[float, float], iters: int) -> dict[str, Training]:
    """ViT-S/16 and ResNet-50 at 224 px, batch 128 on one GPU."""
    crop = {
        'RandomResizedCropWithBoxes.size': 224,
        'RandomResizedCropWithBoxes.scale': scale,
    }
    cells = {'BlockwiseMask.mask_size': (14, 14), 'RegionCollaborativeCutout.mask_size': (14, 14)}
    return dict(
        ibot=Training(
            iters=iters,
            warmup=iters // 10,
            seconds=iters / 4,
            options=_GPU_IBOT,
            steps=crop | cells,
        ),
        densecl=Training(
            iters=iters,
            warmup=iters // 20,
            seconds=iters / 4,
            options={**_GPU_RESNET, 'model.queue_length': 8192, 'optim_wrapper.optimizer.lr': 0.15},
            steps=crop,
        ),
        soco=Training(
            iters=iters,
            warmup=iters // 10,
            seconds=iters / 3,
            options={**_GPU_RESNET, 'model.roi_size': 14, 'optim_wrapper.optimizer.lr': 1.0},
            steps=crop
            | {'ResizeWithBoxes.size': 224, 'RandomResizedCropWithBoxes.scale': (0.5, 1)},
        ),
        maskalign=Training(
            iters=iters,
            warmup=iters // 10,
            seconds=iters / 5,
            options=_GPU_MASKALIGN,
            steps=crop | cells,
        ),
        leopart=Training(
            iters=iters,
            warmup=0,
            seconds=iters / 4,
            options=_GPU_LEOPART | _leopart_crops((224, 96), (scale, (0.05, scale[0]))),
            steps=cells,
        ),
    )
