"""What "Mind Your Augmentation" (ICLR 2024) states of its ablations: Sec. 6, App. C and G.

200 epochs of COCO. Mask ratios of Fig. 8 and the n of Fig. 9 are not stated; those are ours.
"""

from tests.configs import published_runs as runs
from tests.configs.published_parts import grid, pipeline, rcc, together, views

BRANCH = dict(key='dc_mask', stream='dc', empty_prob=0.0)
REGIONS = 'dc_mask_regions'


def masks(patches, grids=3) -> dict[str, list]:
    """Steps by the paper's name: App. G.1; regions are one box in each cell of a grid."""
    common = dict(BRANCH, mask_size=patches)
    regions = dict(grid(REGIONS), grid=grids, stream='dc')
    return dict(
        Rec=[dict(common, type='RectangleForeground', ratio=(0.4, 0.8), aspect=(2 / 3, 3 / 2))],
        Ran=[dict(common, type='RandomPatchMask', ratio=(0.4, 0.6), patch_size=16)],
        Blc=[dict(common, type='BlockwiseMask', ratio=(0.3, 0.5), aspect=(0.3, 1 / 0.3))],
        Cutout=[
            regions,
            dict(common, type='ProposalCutout', ratio=(0.3, 0.5), regions_key=REGIONS),
        ],
        RCC=[regions, rcc((0.3, 0.5), regions_key=REGIONS, **common)],
    )


def changed(host, **model) -> dict:
    return together(runs.lasting(host, 200), dict(model=model))


def densecl(kind: str, **branch) -> dict:
    steps = pipeline(views([2], [*runs.CROP, *masks(None)[kind]]), keys=('dc_mask',))
    return together(changed(runs.DENSECL_D, decoupling=branch), steps)


def ibot(kind: str, grids=3, **branch) -> dict:
    """The mask tokens of iBOT itself are RCC in all rows; rectangles are not complemented."""
    view = [*runs.IBOT_CROP, *runs.MIM_RCC, *masks((14, 14), grids)[kind]]
    steps = pipeline(views([2], view), keys=('mask', 'dc_mask'))
    whole = dict(complement_ratio=0.0) if kind == 'Rec' else {}
    return together(changed(runs.IBOT_D, decoupling={**whole, **branch}), steps)


def blocks(ratio: float) -> dict:
    step = dict(runs.BLOCKS, ratio=ratio)
    steps = pipeline(views([2], [*runs.IBOT_CROP, step]), keys=('mask',))
    return together(changed(runs.IBOT_BLOCK), steps)


def squares(ratio: float) -> dict:
    def of(value):
        if isinstance(value, dict):
            found = {key: of(entry) for key, entry in value.items()}
            return dict(found, ratio=ratio) if value.get('type') == 'SquareCutout' else found
        return [of(entry) for entry in value] if isinstance(value, (list, tuple)) else value

    return of(changed(runs.SOCO))


RESNET, VIT = 'resnet50_8xb32-coslr-200e_coco.py', 'vit-small-p16_8xb64-coslr-200e_coco.py'
C4 = 'resnet50-c4_16xb64-coslr-200e_coco.py'
ABLATIONS = {
    # Tables 10 and 11, Fig. 9
    **{
        f'densecl-d-{kind.lower()}_{RESNET}': densecl(kind) for kind in masks(None) if kind != 'RCC'
    },
    f'densecl-d-rec-avg_{RESNET}': densecl('Rec', objective='average'),
    f'densecl-d-rec-all_{RESNET}': densecl('Rec', objective='all'),
    **{f'densecl-st{n}_{RESNET}': changed(runs.DENSECL, correspondence=n) for n in (4, 16)},
    f'densecl-strand_{RESNET}': changed(runs.DENSECL, correspondence='random'),
    # Tables 4, 5, 12 and 13, Figs. 8 and 9
    f'ibot_{VIT}': changed(runs.IBOT_BLOCK),
    **{f'ibot-d-{kind.lower()}_{VIT}': ibot(kind) for kind in masks(None)},
    f'ibot-d-rec-avg_{VIT}': ibot('Rec', objective='average'),
    f'ibot-d-rec-all_{VIT}': ibot('Rec', objective='all'),
    **{f'ibot-d-grid{n}_{VIT}': ibot('RCC', n) for n in (1, 2, 4)},
    **{f'ibot-d-lambda0{n}_{VIT}': ibot('RCC', weight=n / 10) for n in (1, 2, 4, 6)},
    **{f'ibot-block{n}0_{VIT}': blocks(n / 10) for n in (1, 3, 5, 7)},
    **{f'ibot-t{n}_{VIT}': changed(runs.IBOT_BLOCK, correspondence=n) for n in (4, 16)},
    **{f'soco-square{n}0_{C4}': squares(n / 10) for n in (1, 3, 5, 7)},
}
