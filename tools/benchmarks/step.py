"""Training steps: iBOT against the bare backbone work it contains, iBOT-D against iBOT.

A step is the losses of a batch, backward, per-tensor clipping, AdamW and the teacher update.
The bare work is what no implementation can avoid: student forward and backward and teacher
forward of the same views, without heads, losses and optimizer. All are timed in turn within
one run, and the rows are medians of the ratios within a round.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from mmengine.logging import MMLogger
from torch import Tensor

from mmdssl.datasets.transforms.rcc import RegionCollaborativeCutout
from mmdssl.datasets.transforms.regions import GridRegions
from mmdssl.models.algorithms.ibot import IBOT
from mmdssl.registry import OPTIM_WRAPPER_CONSTRUCTORS

SIDE, PATCH = 224, 16
GRID = (SIDE // PATCH, SIDE // PATCH)


def vit_small(decoupling: dict | None = None) -> IBOT:
    """iBOT ViT-S/16 as configured for COCO."""
    torch.manual_seed(0)
    model = IBOT(
        backbone=dict(type='DenseViT', arch='deit-small', patch_size=PATCH, drop_path_rate=0.1),
        head=dict(type='IBOTHead', in_channels=384),
        decoupling=decoupling,
    )
    model.init_weights()
    model.clock.set(iteration=0, max_iterations=1000, iterations_per_epoch=10)
    return model


def batch_of(size: int, device: str = 'cpu') -> dict:
    """Two views of random pixels with the masks of the public iBOT-D run."""
    generator = np.random.default_rng(0)
    np.random.seed(0)
    mim = RegionCollaborativeCutout(ratio=(0.2, 0.6), empty_prob=0.5, mask_size=GRID)
    branch = RegionCollaborativeCutout(ratio=(0.2, 0.6), mask_size=GRID, key='dc_mask')
    canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
    batch: dict = dict(views=[], mask=[], dc_mask=[])
    for view in range(2):
        drawn = []
        for _ in range(size):
            results = GridRegions().transform(dict(img=canvas))
            drawn.append(branch.transform(mim.transform(results)))
        pixels = generator.standard_normal((size, 3, SIDE, SIDE), dtype=np.float32)
        batch['views'].append(torch.from_numpy(pixels).to(device))
        for key in ('mask', 'dc_mask'):
            masks = torch.from_numpy(np.stack([results[key] for results in drawn]))
            # Half of the MIM masks are empty, exactly: no luck of the draw in the timing.
            if key == 'mask':
                masks[view::2] = False
            batch[key].append(masks.to(device))
    return batch


def training_step(model: IBOT, batch: dict) -> Callable[[], None]:
    """A closure that trains one step."""
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='SelfSupOptimWrapperConstructor',
            optim_wrapper_cfg=dict(
                type='PerParamClipOptimWrapper',
                optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.04),
                clip_grad=dict(type='per_param', max_norm=3.0),
            ),
        )
    )(model)

    def step() -> None:
        losses = model.loss(batch)
        wrapper.update_params(sum(losses.values()))
        model.update_teacher()

    return step


def bare_step(model: IBOT, batch: dict) -> Callable[[], None]:
    """A closure that does the backbone work of a step and nothing else."""
    images = torch.cat(batch['views'])
    mask = torch.cat(batch['mask'])

    def step() -> None:
        with torch.no_grad():
            model.teacher.backbone.forward_tokens(images)
        tokens: Tensor = model.backbone.forward_tokens(images, mask=mask)
        tokens.sum().backward()
        model.zero_grad(set_to_none=True)

    return step


def rows(repeat: int = 5, batch_size: int = 8) -> list[dict]:
    """Seconds of each step and the ratios between them."""
    MMLogger.get_current_instance().setLevel('WARNING')  # init_weights names every parameter
    batch = batch_of(batch_size)
    branch = dict(type='DecouplingBranch')
    steps = {
        'bare backbone': bare_step(vit_small(), batch),
        'iBOT': training_step(vit_small(), batch),
        'iBOT-D, 25 % of one key view': training_step(vit_small({**branch, 'views': (1,)}), batch),
        'iBOT-D, 25 % of both key views': training_step(vit_small(branch), batch),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_number in range(repeat + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if round_number:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    result = [
        dict(
            name=f'step ViT-S/16, batch {batch_size}: {name}',
            value=statistics.median(times),
            unit='s',
        )
        for name, times in seconds.items()
    ]
    for name, base, target in (
        ('iBOT', 'bare backbone', 1.25),
        ('iBOT-D, 25 % of one key view', 'iBOT', 1.15),
        ('iBOT-D, 25 % of both key views', 'iBOT', None),
    ):
        ratios = [one / two for one, two in zip(seconds[name], seconds[base], strict=True)]
        row = dict(name=f'{name} / {base}', value=statistics.median(ratios), unit='x')
        result.append(row if target is None else {**row, 'target': f'<= {target}'})
    return result


if __name__ == '__main__':
    for entry in rows():
        print(entry)
