"""Training steps: every host with and without what is added to it, from the published configs.

A step is the losses of a batch, backward, the optimizer with its clipping, and the teacher update,
in float32 unless said otherwise, without loading and colours. The variants of a host take turns
within one run; ratios are medians of the ratios within a round.

Beside each ratio stands its floor, what no implementation can undercut. A view costs 3 units in the
student (forward, and backward for twice that) and 1 in the teacher (forward):

    DenseCL   one view each:             3 + 1 = 4;   X^D of a quarter of them adds 3 / 4:  4.75 / 4
    SoCo      two views each:            6 + 2 = 8;   a quarter of one key view:            8.75 / 8
                                                      a quarter of both key views:           9.5 / 8

The point-level baseline and ReSim count as DenseCL, PixPro and BYOL as SoCo; heads, which both of a
pair have, are left out. Hence 1.188 is the floor of DenseCL-D, and 1.094 that of SoCo-D and iBOT-D
where the quarter is one of the batch, as in the config of SoCo-D; the public code of iBOT-D takes a
quarter of both views, and so do the variants here: their floor is 1.188 again.

MaskAlign's student sees 58 of 196 patches, its frozen ViT-B/16 costs 3.8 passes of a ViT-S/16 (17.6
and 4.6 GFLOPs): 3 * 0.3 + 3.8 = 4.7; X^D is whole and adds 3 / 4: a floor of 1.16.

Leopart's student sees two global views and four of (96 / 224)^2 of their area, its teacher the
global ones: 3 * 2.73 + 2 = 10.2; a quarter of both global views adds 3 / 2: a floor of 1.147.

NeCo has the passes of Leopart, of ViT-S/14 with 518 and 98 px: 3 * 2.14 + 2 = 8.4, and 1.5 more.

PLRC's student sees one view, its teacher two: 3 + 2 = 5; X^D of a quarter adds 3 / 4: 5.75 / 5. Its
pairs of points are no passes.

Self-EMD's and SlotCon's two nets see both views, as SoCo's: 6 + 2 = 8, and 8.75 / 8 or 9.5 / 8 with
X^D. Transport, slots and their contrast are no passes and stand in no floor.

A new host is a variant and a line or two of ``VARIANTS``, and a function for its batch where no
other one fits.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor

from mmdssl.core.shipped import shipped
from mmdssl.datasets.transforms.overlapping_crops import OverlappingCrops
from mmdssl.datasets.transforms.region_collaborative_cutout import RegionCollaborativeCutout
from mmdssl.datasets.transforms.regions import GridRegions
from mmdssl.engine.config import load_config
from mmdssl.engine.efficiency.compiled_blocks import compile_blocks
from mmdssl.registry import MODELS

CONFIGS = shipped('configs')
SIDE, SMALL, PATCH, BOXES = 224, 112, 16, 4
LOCAL, LOCALS = 96, 4
BRANCH = dict(decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25))
RANDOM_START = dict(init='random')
RANDOM_TEACHER = dict(teacher=dict(init='random'))
ONE_VIEW = dict(decoupling=dict(BRANCH['decoupling'], key_views=(1,)))


def vit_batch(size: int) -> dict:
    """Two views of random pixels with the masks of the public iBOT-D run."""
    mim = RegionCollaborativeCutout(ratio=(0.2, 0.6), empty_prob=0.5, mask_size=(14, 14))
    inputs = dict(views=_views(size), mask=_masks(mim, size))
    for view, masks in enumerate(inputs['mask']):
        masks[view::2] = False  # half of them, exactly: no luck of the draw in the timing
    branch = RegionCollaborativeCutout(ratio=(0.2, 0.6), mask_size=(14, 14))
    return dict(inputs, dc_mask=_masks(branch, size))


def cnn_batch(size: int) -> dict:
    """Two views of random pixels with boxes and all masks that a ResNet host may ask for."""
    centre, half = np.random.uniform(72, SIDE - 72, (size, BOXES, 2)), np.random.uniform(32, 72)
    boxes = torch.from_numpy(np.concatenate([centre - half, centre + half], axis=2)).float()
    ids = torch.arange(BOXES).expand(size, BOXES)
    paste = torch.zeros(size, SIDE, SIDE, dtype=torch.bool)
    paste[:, 50:150, 50:150] = True
    return dict(
        views=_views(size),
        dc_mask=_masks(RegionCollaborativeCutout(ratio=(0.3, 0.5)), size),
        boxes=[boxes, boxes],
        box_ids=[ids, ids],
        erase_small=[torch.zeros(size, SMALL, SMALL, dtype=torch.bool)],
        paste=[paste],
        shift=[torch.randint(-20, 20, (size, 2))],
        **_places(size),
    )


def located_batch(size: int) -> dict:
    """As :func:`cnn_batch`, with what each view shows of an image of 640 x 480 px."""

    def crops() -> Tensor:
        start = torch.rand(size, 2) * torch.tensor([240.0, 180.0])
        return torch.cat((start, start + torch.tensor([400.0, 300.0])), dim=1).double()

    flip = torch.stack((torch.rand(size) < 0.5, torch.zeros(size, dtype=torch.bool)), dim=1)
    first = crops()
    batch = cnn_batch(size)
    return dict(
        batch,
        views=[*batch['views'], batch['views'][0].roll(1, 3)],
        dc_mask=[*batch['dc_mask'], batch['dc_mask'][0]],
        crop_box=[first, first + 20, crops()],
        flip=[flip, flip.roll(1, 0), flip],
        ori_shape=[torch.tensor([[480, 640]]).expand(size, 2).clone()] * 3,
        points=[torch.randint(56, (size, 1, 32, 2)) for _ in range(2)],
    )


def crops_batch(size: int, side: int = SIDE, local: int = LOCAL, patch: int = PATCH) -> dict:
    """Two global and four local views of random pixels and where they overlap, as for Leopart."""
    kinds = dict(small=(local, (0.05, 0.25)), large=(side, (0.25, 1.0)))
    crop = {
        kind: [dict(type='RandomResizedCropWithBoxes', size=pixels, scale=scale)]
        for kind, (pixels, scale) in kinds.items()
    }
    crops = OverlappingCrops(num_views=[2, LOCALS], pipelines=[crop['large'], crop['small']])
    canvas = np.zeros((side, side, 3), np.uint8)
    images = [crops.transform(dict(img=canvas))['views'] for _ in range(size)]

    def boxes(key: str, views: int) -> list[Tensor]:
        return [torch.from_numpy(np.stack([v[i][key] for v in images])) for i in range(views)]

    branch = RegionCollaborativeCutout(ratio=(0.3, 0.5), mask_size=(side // patch,) * 2)
    return dict(
        views=[torch.randn(size, 3, each, each) for each in [side] * 2 + [local] * LOCALS],
        boxes_in_global=boxes('boxes_in_global', 2),
        boxes_in_other=boxes('boxes_in_other', 2 + LOCALS),
        dc_mask=_masks(branch, size),
    )


def _places(size: int) -> dict:
    """Where two crops of half an image of 640 x 480 pixels lie, the second one mirrored."""
    corner = torch.rand(2, size, 2, dtype=torch.float64) * torch.tensor((160.0, 120.0))
    flip = torch.tensor([[[False, False]], [[True, False]]]).expand(2, size, 2)
    shape = torch.tensor((480, 640)).expand(size, 2)
    return dict(
        crop_box=list(torch.cat((corner, corner + torch.tensor((480.0, 360.0))), dim=2)),
        flip=list(flip),
        ori_shape=[shape, shape],
    )


@dataclass(frozen=True)
class Variant:
    """A line of the table.

    Attributes:
        name: In the rows.
        config: Published config, below ``configs``.
        student: Views a student sees per image (a 112 px view counts as a quarter).
        teacher: Views a teacher sees per image, in passes of the student's backbone.
        model: Changes of the config's model.
        batch: Makes a batch of so many images.
        against: Variant that the time is divided by.
        target: Of that ratio, e.g. ``'<= 1.15'``.
        channels_last: Keep images and convolutions in that memory format.
        bf16: Under autocast; such variants are measured on GPUs only.
        compiled: Compile the transformer blocks, as ``efficiency.compile`` does.
        bare: Backbone work alone: student forward and backward, teacher forward.
    """

    name: str
    config: str
    student: float
    teacher: float
    model: dict[str, Any] = field(default_factory=dict)
    batch: Callable[[int], dict] = cnn_batch
    against: str | None = None
    target: str = ''
    channels_last: bool = False
    bf16: bool = False
    compiled: bool = False
    bare: bool = False

    @property
    def cost(self) -> float:
        """Units of work per image."""
        return 3 * self.student + self.teacher


_IBOT = Variant('iBOT', 'ibot/ibot_vit-small-p16_8xb64-coslr-800e_coco.py', 2, 2, batch=vit_batch)
_DENSECL = Variant('DenseCL', 'densecl/densecl_resnet50_8xb32-coslr-800e_coco.py', 1, 1)
_MOCO = Variant('MoCo v2', 'densecl/mocov2_resnet50_8xb32-coslr-800e_coco.py', 1, 1)
_POINT = Variant('point-level', 'pointlevel/pointlevel_resnet50_8xb32-coslr-800e_coco.py', 1, 1)
_PIXPRO = Variant('PixPro', 'pixpro/pixpro_resnet50_8xb64-coslr-800e_coco.py', 2, 2)
_BYOL = Variant('BYOL', 'byol/byol_resnet50_8xb64-coslr-800e_coco.py', 2, 2)
_RESIM = Variant('ReSim', 'resim/resim_resnet50_8xb32-coslr-800e_coco.py', 1, 1)
_SOCO = Variant('SoCo', 'soco/soco_resnet50-c4_16xb64-coslr-800e_coco.py', 2, 2)
_MASKALIGN = Variant(
    'MaskAlign',
    'maskalign/maskalign_vit-small-p16_8xb128-coslr-800e_coco.py',
    58 / 196,
    17.6 / 4.6,
    model=RANDOM_TEACHER,
    batch=vit_batch,
)
_LEOPART = Variant(
    'Leopart',
    'leopart/leopart_vit-small-p16_2xb32-coslr-50e_coco.py',
    2 + LOCALS * (LOCAL / SIDE) ** 2,
    2,
    model=RANDOM_START,
    batch=crops_batch,
)
_D3SSL = Variant('D3SSL', 'd3ssl/d3ssl_resnet50-c4_8xb32-coslr-800e_coco.py', 2.25, 2)

_NECO = Variant(
    'NeCo',
    'neco/neco_vit-small-p14-reg_1xb64-coslr-25e_coco.py',
    2 + LOCALS * (98 / 518) ** 2,
    2,
    model=RANDOM_START,
    batch=partial(crops_batch, side=518, local=98, patch=14),
)
_PLRC = Variant('PLRC', 'plrc/plrc_resnet50_8xb32-coslr-800e_coco.py', 1, 2, batch=located_batch)
_SELFEMD = Variant('Self-EMD', 'selfemd/selfemd_resnet50_8xb64-coslr-800e_coco.py', 2, 2)
_SLOTCON = Variant(
    'SlotCon', 'slotcon/slotcon_resnet50_8xb64-coslr-800e_coco.py', 2, 2, batch=located_batch
)


def _changed(base: Variant, change: str, **fields: Any) -> Variant:
    """A variant of a host, compared with the host itself."""
    return replace(base, name=f'{base.name}{change}', against=base.name, **fields)


#: By backbone; those of one backbone are measured in turns.
VARIANTS: dict[str, list[Variant]] = {
    'ViT-S/16': [
        replace(_IBOT, name='bare backbone', bare=True),
        replace(_IBOT, against='bare backbone', target='<= 1.25'),
        _changed(_IBOT, '-D, 25 % of one key view', student=2.25, model=ONE_VIEW, target='<= 1.15'),
        _changed(_IBOT, '-D, 25 % of both key views', student=2.5, model=BRANCH),
        _changed(_IBOT, ', blocks compiled', compiled=True),
    ],
    'ViT-S/16 beside ViT-B/16': [
        _MASKALIGN,
        _changed(
            _MASKALIGN,
            '-D',
            student=58 / 196 + 0.25,
            model=BRANCH | RANDOM_TEACHER,
            target='<= 1.25',
        ),
    ],
    'ViT-S/16, six views': [
        _LEOPART,
        _changed(
            _LEOPART,
            '-D, 25 % of both global views',
            student=_LEOPART.student + 0.5,
            model=BRANCH | RANDOM_START,
        ),
    ],
    'ViT-S/14, six views': [
        _NECO,
        _changed(
            _NECO,
            '-D, 25 % of both global views',
            student=_NECO.student + 0.5,
            model=BRANCH | RANDOM_START,
        ),
    ],
    'R50': [
        _MOCO,
        replace(_DENSECL, against='MoCo v2'),
        _changed(_DENSECL, '-D', student=1.25, model=BRANCH),
        replace(_POINT, against='DenseCL'),
        _changed(_POINT, '-D', student=1.25, model=BRANCH),
        _PIXPRO,
        _changed(_PIXPRO, '-D, 25 % of one key view', student=2.25, model=ONE_VIEW),
        _changed(_PIXPRO, '-D, 25 % of both key views', student=2.5, model=BRANCH),
        _BYOL,
        _changed(_BYOL, '-D, 25 % of one key view', student=2.25, model=ONE_VIEW),
        _changed(_BYOL, '-D, 25 % of both key views', student=2.5, model=BRANCH),
        replace(_RESIM, against='MoCo v2'),
        _changed(_RESIM, '-D', student=1.25, model=BRANCH),
        _changed(_DENSECL, ', channels_last', channels_last=True),
        _changed(_DENSECL, ', channels_last, bf16', channels_last=True, bf16=True),
    ],
    'R50, two teacher views': [
        _PLRC,
        _changed(_PLRC, '-D', student=1.25, model=BRANCH),
        _changed(
            _PLRC,
            ', 1000 pairs an image, no affinities',
            model=dict(max_pairs_per_image=1000, affinity='off'),
        ),
    ],
    'R50, two views in both nets': [
        _SELFEMD,
        _changed(_SELFEMD, '-D, 25 % of one key view', student=2.25, model=ONE_VIEW),
        _changed(_SELFEMD, '-D, 25 % of both key views', student=2.5, model=BRANCH),
        _SLOTCON,
        _changed(_SLOTCON, '-D, 25 % of one key view', student=2.25, model=ONE_VIEW),
        _changed(_SLOTCON, '-D, 25 % of both key views', student=2.5, model=BRANCH),
    ],
    'R50-C4': [
        _SOCO,
        _changed(_SOCO, '-D, 25 % of one key view', student=2.25, model=ONE_VIEW),
        _changed(_SOCO, '-D, 25 % of both key views', student=2.5, model=BRANCH),
        _changed(_SOCO, ', channels_last, bf16', channels_last=True, bf16=True),
        _D3SSL,
        _changed(
            _D3SSL,
            ' without de-positioning',
            student=1.25,
            model=dict(with_depositioning_loss=False),
        ),
    ],
}


def rows(
    repeat: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    only: str | None = None,
) -> Iterator[dict]:
    """Seconds of each step and the ratios between them.

    Args:
        repeat: Rounds, after one to warm up; default 3 on a CPU (some minutes), 20 on a GPU.
        batch_size: Images; default 8 on a CPU (2 of them with an X^D), 64 on a GPU.
        device: Default: the GPU where there is one.
        only: Leave out backbones without a variant that has this in its name.

    Yields:
        Rows of the table.

    Raises:
        ValueError: If no variant has ``only`` in its name.
    """
    chosen = {
        backbone: variants
        for backbone, variants in VARIANTS.items()
        if not only or any(only in variant.name for variant in variants)
    }
    if not chosen:
        names = [variant.name for variants in VARIANTS.values() for variant in variants]
        raise ValueError(f'no step has {only!r} in its name; there are {"; ".join(names)}')
    MMLogger.get_current_instance().setLevel('ERROR')  # init_weights names every parameter
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    size = batch_size or (64 if device == 'cuda' else 8)
    repeat = repeat or (20 if device == 'cuda' else 3)
    for backbone, variants in chosen.items():
        used = [variant for variant in variants if device == 'cuda' or not variant.bf16]
        seconds = measure(used, size=size, repeat=repeat, device=device)
        for variant in used:
            yield dict(
                name=f'step {backbone}, batch {size}: {variant.name}',
                value=statistics.median(seconds[variant.name]),
                unit='s',
            )
        yield from ratios(used, seconds)


def measure(
    variants: list[Variant], *, size: int, repeat: int, device: str
) -> dict[str, list[float]]:
    """Seconds of ``repeat`` steps of each variant, in turns, by name."""
    steps = {variant.name: step_of(variant, size, device) for variant in variants}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_number in range(repeat + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if device == 'cuda':
                torch.cuda.synchronize()
            if round_number:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    del steps
    gc.collect()  # models and wrappers refer to each other; the next host needs their memory
    return seconds


def ratios(variants: list[Variant], seconds: dict[str, list[float]]) -> Iterator[dict]:
    """Rows of the ratios, with floors where both compute alike."""
    by_name = {variant.name: variant for variant in variants}
    for variant in variants:
        if variant.against is None:
            continue
        base = by_name[variant.against]
        pairs = zip(seconds[variant.name], seconds[base.name], strict=True)
        row = dict(
            name=f'{variant.name} / {base.name}',
            value=statistics.median(one / two for one, two in pairs),
            unit='x',
            target=variant.target,
        )
        if (variant.channels_last, variant.bf16) == (base.channels_last, base.bf16):
            row['reference'] = f'floor {floor(variant, base):.3f}'
        yield row


def floor(variant: Variant, base: Variant) -> float:
    """Least possible ratio of their times: that of the passes they cannot avoid."""
    return variant.cost / base.cost


def step_of(variant: Variant, size: int, device: str) -> Callable[[], None]:
    """A closure that trains one step."""
    init_default_scope('mmdssl')
    config = load_config(CONFIGS / variant.config)
    torch.manual_seed(0)
    np.random.seed(0)
    batch = on_device(variant.batch(size), device, channels_last=variant.channels_last)
    config.merge_from_dict(dict(model=variant.model))
    model = model_on(device, config.model, channels_last=variant.channels_last)
    if variant.compiled:
        compile_blocks(model)
    if variant.bare:
        return _bare_step(model, batch)
    wrapper = build_optim_wrapper(model, wrapper_settings(config))

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=variant.bf16):
            losses = model.loss(batch)
        wrapper.update_params(sum(losses.values()))
        if hasattr(model, 'update_teacher'):  # not where the teacher is frozen
            model.update_teacher()

    return step


def model_on(device: str, config: Any, *, channels_last: bool) -> Any:
    """A model of a config with fresh weights, ready to train in its first iteration."""
    model = MODELS.build(config)
    model.init_weights()
    model.to(device).train()
    if channels_last:
        model.to(memory_format=torch.channels_last)
    model.clock.set(iteration=0, max_iterations=1000, iterations_per_epoch=10)
    return model


def wrapper_settings(config: Any) -> dict[str, Any]:
    """The optimizer wrapper of a config, in float32: precision is a matter of the variant."""
    settings = config.optim_wrapper.to_dict()
    settings['type'] = settings['type'].removeprefix('Amp')
    for key in ('dtype', 'loss_scale', 'freeze'):
        settings.pop(key, None)
    return settings


def _bare_step(model: Any, batch: dict) -> Callable[[], None]:
    """A closure that does the backbone work of a step of iBOT and nothing else."""
    images, mask = torch.cat(batch['views']), torch.cat(batch['mask'])

    def step() -> None:
        with torch.no_grad():
            model.teacher.backbone.forward_tokens(images)
        tokens: Tensor = model.backbone.forward_tokens(images, mask=mask)
        tokens.sum().backward()
        model.zero_grad(set_to_none=True)

    return step


def _views(size: int) -> list[Tensor]:
    return [torch.randn(size, 3, SIDE, SIDE) for _ in range(2)]


def _masks(cutout: RegionCollaborativeCutout, size: int) -> list[Tensor]:
    """Masks of both views over grid regions."""
    canvas, grid = np.zeros((SIDE, SIDE, 3), np.uint8), GridRegions()

    def draw() -> Tensor:
        return torch.from_numpy(cutout.transform(grid.transform(dict(img=canvas)))[cutout.key])

    return [torch.stack([draw() for _ in range(size)]) for _ in range(2)]


def on_device(batch: dict, device: str, *, channels_last: bool) -> dict:
    """A batch of a variant, its images in the wanted memory format."""
    moved = {key: [value.to(device) for value in values] for key, values in batch.items()}
    if channels_last:
        moved['views'] = [
            view.contiguous(memory_format=torch.channels_last) for view in moved['views']
        ]
    return moved
