"""Does the branch make features depend less on what surrounds an object, and at what price?

Every host with and without it, and the controls without which the answer misleads: the base stopped
early, at 0.3 of its learning rate, and with as many student views as its partner.

    mmdssl study mind_your_augmentation/controlled --scale scenes --seeds 11 12 13 --jobs 2

What came out, and at which scale: docs/controlled_study.md.

``scenes``: 96 px scenes whose classes are colour x texture on quiet backgrounds. A test of
de-coupling: the base soon turns object features into background features, and an untrained
network already reads colours, so that no row need rise above it.

``shape-texture``: 128 px scenes whose classes are shape x texture while all objects have one hue,
on loud backgrounds. An untrained network is weak there, so that it shows whether the base learns
objects and which way the branch then moves it. Crops of a quarter to three
quarters of the picture at its own resolution: neither the whole scene nor its colours tell two
views of it.

``default-scenes``: 128 px scenes whose classes are shape x texture with a hue for each
texture, and the configs of configs/scenes as they are. SoCo's base rises above the
untrained network there, in O-KNN and in O-KNN-D, within 250 iterations.

``coco-mini``: a folder of a few hundred photos in the layout of COCO, given by ``--data-root``.
"""

from mmdssl.datasets.scenes import PRESETS
from mmdssl.studies import RATIOS, SCALES, Published, Row, Scale, Setting, Study, controls

# Data. Proposals are selective search with segments fit for small pictures.
PROBES = dict(inter=80, background=200, intra=150)
SEARCH = dict(scale=100, sigma=0.6, min_size=30, filter_size=(0.12, 0.7))
scales = {
    'scenes': Scale(
        purpose='does the branch make features depend less on context? (short, easy classes)',
        scenes=PRESETS['miniature'],
        train_images=3000,
        val_images=400,
        bank_images=500,
        size=64,
        probes=PROBES,
        ratios=RATIOS,
        min_side=16,
        proposals=dict(SEARCH, filter_min_side=12),
        workers=0,
    ),
    'shape-texture': Scale(
        purpose='hard for an untrained network: does the base learn objects, what does -D change?',
        scenes=dict(
            size=128,
            objects=(3, 8),
            context_bias=0.5,
            class_by='form',
            shapes=('disc', 'triangle', 'star', 'cross'),
            textures=('striped', 'checked', 'dotted', 'ringed'),
            hues=('green',),
            scale=(0.16, 0.38),
            contrast=0.16,
            saturation=0.3,
        ),
        train_images=4000,
        val_images=400,
        bank_images=500,
        size=128,
        probes=PROBES,
        ratios=RATIOS,
        min_side=20,
        proposals=dict(SEARCH, filter_min_side=14),
        workers=0,
    ),
    'default-scenes': SCALES['scenes'],
    'coco-mini': Scale(
        purpose='a few hundred photos in the layout of COCO',
        probes=dict(inter=80, background=70, intra=50),
        probe_data=dict(ann_file='annotations/instances_val2017.json', data_prefix='val2017/'),
        ratios=RATIOS,
        min_side=32,
        workers=0,
    ),
}


# Training: what changes in the small configs, at the two scales that have networks of their own.
def vit(side: int) -> dict:
    """Width 96, depth 4, patches of 8 px."""
    return {
        'model.backbone.arch': dict(
            embed_dims=96, num_layers=4, num_heads=3, feedforward_channels=384
        ),
        'model.backbone.img_size': side,
        'model.backbone.patch_size': 8,
    }


def views(side: int, scale: tuple[float, float]) -> dict:
    """Crops of random size."""
    return {
        'RandomResizedCropWithBoxes.size': side,
        'RandomResizedCropWithBoxes.scale': scale,
    }


def trainings(
    iters: int,
    warmups: tuple[int, int],
    scale: tuple[float, float],
    local_scale: tuple[float, float],
    ibot: tuple[int, float],
    soco: tuple[int, tuple[float, float]],
) -> dict[str, dict]:
    """Arguments of :class:`Setting` by host, at 64 px.

    Args:
        iters: Of all but Leopart, which has four fifths.
        warmups: Of iBOT and DenseCL; SoCo and MaskAlign have a tenth of ``iters``.
        scale: Of the crops.
        local_scale: Of Leopart's local crops, of half the side.
        ibot: Batch and learning rate.
        soco: Side and scale of the crops.
    """
    side = 64
    cells = {'BlockwiseMask.mask_size': (8, 8), 'RegionCollaborativeCutout.mask_size': (8, 8)}
    crops = 'train_dataloader.dataset.pipeline.1.pipelines'
    rate, size = 'optim_wrapper.optimizer.lr', 'train_dataloader.batch_size'
    # ResNets of half width. DenseCL's last stage keeps the resolution: side / 16 cells; SoCo's C4
    # has side / 8 cells, of which a box takes 4x4.
    return dict(
        ibot=dict(
            iters=iters,
            warmup=warmups[0],
            options={
                **vit(side),
                'model.head.in_channels': 96,
                'model.momentum': (0.98, 1.0),
                size: ibot[0],
                rate: ibot[1],
            },
            steps=views(side, scale) | cells,
        ),
        densecl=dict(
            iters=iters,
            warmup=warmups[1],
            options={
                'model.backbone.strides': (1, 2, 2, 1),
                'model.queue_length': 1024,
                rate: 0.06,
                size: 32,
            },
            steps=views(side, scale),
        ),
        soco=dict(
            iters=iters,
            warmup=iters // 10,
            options={'model.backbone.strides': (1, 2, 1, 2), rate: 1.0, size: 32},
            steps=views(*soco) | {'ResizeWithBoxes.size': soco[0]},
        ),
        maskalign=dict(
            iters=iters,
            warmup=iters // 10,
            options={
                **vit(side),
                **{k.replace('model.', 'model.teacher.'): v for k, v in vit(side).items()},
                rate: 1e-3,
            },
            steps=views(side, scale) | cells,
        ),
        leopart=dict(
            iters=iters * 4 // 5,
            warmup=0,
            options={
                **vit(side),
                'model.head.in_channels': 96,
                rate: 1e-3,
                size: 24,
                f'{crops}.0.0.size': side,
                f'{crops}.1.0.size': side // 2,
                f'{crops}.0.0.scale': scale,
                f'{crops}.1.0.scale': local_scale,
            },
            steps={'RegionCollaborativeCutout.mask_size': (8, 8)},
        ),
    )


TRAININGS = {
    'scenes': trainings(250, (60, 20), (0.3, 1.0), (0.1, 0.3), (24, 1.5e-3), (64, (0.5, 1.0))),
    'shape-texture': trainings(
        1000, (100, 50), (0.2, 0.7), (0.05, 0.2), (32, 1e-3), (96, (0.4, 1.0))
    ),
    'default-scenes': {},
    'coco-mini': {'densecl': dict(iters=400, warmup=20)},
}
# What names the configs: of scenes, of photos, of thousands of photos.
STEMS = {
    'ibot': ('vit-micro-p16_1xb24-250i', 'vit-micro-p16_1xb32-400i', 'vit-small-p16-128px'),
    'densecl': ('r18w32-128px_1xb32-250i', 'r18w32-128px_1xb32-250i', 'r18-128px'),
    'soco': ('r18w32-128px_1xb32-250i', 'r18w32-128px_1xb32-1000i', ''),
    'maskalign': ('vit-micro-p16_1xb32-250i', 'vit-micro-p16_1xb32-250i', ''),
    'leopart': ('vit-micro-p16_1xb24-200i', 'vit-micro-p16_1xb24-200i', ''),
}


def family(
    host: str, variants: tuple[str, ...] = (), equal_compute: float = 1.25, **network: str | bool
) -> list[Row]:
    """A host, its variants, the host with the branch, and the controls."""
    scenes, photos, thousands = STEMS[host]

    def row(ending: str, **role: str | bool) -> Row:
        settings = {
            scale: Setting(
                config=f'coco_mini/{host}{ending}_{photos}_coco-mini.py'
                if scale == 'coco-mini'
                else f'scenes/{host}{ending}_{scenes}_scenes.py',
                **changed.get(host, {}),
            )
            for scale, changed in TRAININGS.items()
        }
        if thousands and ending in ('', '-d'):
            file = f'photos/{host}{ending}_{thousands}_1xb256-3000i_photos.py'
            settings['photos-gpu'] = Setting(config=file)
        return Row(name=host + ending, settings=settings, **network, **role)

    base = row('')
    return [
        base,
        *(row(f'-{one}', role='variant', base=host, optional=host == 'soco') for one in variants),
        row('-d', role='decoupled', base=host),
        *controls(base, equal_compute=equal_compute, optional='teacher' in network),
    ]


# MaskAlign and Leopart need a network that is there already: the teacher of iBOT of their seed.
# MaskAlign's student sees 0.3 of a view, X^D is a quarter of a view, and whole. Leopart's sees two
# global views and four of a quarter of their size; a quarter of both.
study = Study(
    title='The hosts with and without the branch, and controls',
    scales=scales,
    rows=[
        *family('ibot', ('rcc',)),
        *family('densecl'),
        *family('soco', ('rcc',)),
        *family(
            'maskalign',
            equal_compute=1 + 0.25 / 0.3,
            teacher='ibot',
            teacher_option='model.teacher.checkpoint',
        ),
        *family(
            'leopart',
            equal_compute=1 + 2 * 0.25 / 3,
            teacher='ibot',
            teacher_option='model.init',
            continues=True,
        ),
    ],
    # "Mind Your Augmentation" (ICLR 2024): 800 epochs of COCO, Table 4 200. For orientation: these
    # small runs are not comparable in size.
    published=[
        Published(
            title='Table 3: O-KNN and O-KNN-D',
            columns={
                'oknn/top1': 'OKNN Top.1',
                'oknn/top5': 'OKNN Top.5',
                'oknn_d/top1': 'OKNN-D Top.1',
                'oknn_d/top5': 'OKNN-D Top.5',
            },
            rows={
                'densecl': (72.5, 89.6, 41.5, 59.9),
                'densecl-d': (74.5, 91.2, 45.1, 63.9),
                'soco': (73.5, 89.7, 43.7, 61.2),
                'soco-d': (75.8, 90.8, 47.8, 65.0),
                'ibot': (75.2, 90.8, 45.8, 68.3),
                'ibot-d': (78.7, 93.3, 52.1, 71.9),
                'maskalign': (77.4, 91.6, 53.8, 74.0),
                'maskalign-d': (79.0, 92.7, 55.2, 76.1),
            },
        ),
        Published(
            title='Table 4: coupling with and without the branch',
            columns={
                'oknn/top1': 'OKNN',
                'cr_inter/last/mean': 'CR inter',
                'cr_intra/last/mean': 'CR intra',
            },
            rows={'ibot': (69.9, 1.80, 0.17), 'ibot-d': (74.1, 1.16, 0.04)},
        ),
    ],
)
