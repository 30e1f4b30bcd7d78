"""Fig. 8 of "Mind Your Augmentation" (ICLR 2024, App. C.1): coupling and the mask ratio.

    mmdssl study mind_your_augmentation/figure_8 --scale scenes --seeds 0 1 2 --jobs 2

iBOT with blocks and SoCo with squares, 200 epochs of COCO, without the branch: more and more is
masked. The paper prints no ratios; those here are ours: in iBOT the share of every second view
(the others are whole), in SoCo the area of the square in every second box. The paper takes the
coupling of iBOT on masked patches; here they are black, because a teacher has no mask token.
"""

from mmdssl.studies import Published, Row, Setting, Study

RATIOS = (0.1, 0.3, 0.5, 0.7)
HOSTS = {
    'iBOT': (
        'BlockwiseMask.ratio',
        'ablations/ibot-block{:.0f}_vit-small-p16_8xb64-coslr-200e_coco.py',
        'scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py',
    ),
    'SoCo': (
        'SquareCutout.ratio',
        'ablations/soco-square{:.0f}_resnet50-c4_16xb64-coslr-200e_coco.py',
        'scenes/soco_r18w32-128px_1xb32-250i_scenes.py',
    ),
}


def row(host: str, ratio: float) -> Row:
    """A host with a mask ratio; the smallest is what the others are compared with."""
    step, paper, scenes = HOSTS[host]
    files = {'paper': paper.format(100 * ratio), 'scenes': scenes}
    return Row(
        name=f'{host}, {ratio}',
        role='base' if ratio == RATIOS[0] else 'variant',
        base='' if ratio == RATIOS[0] else f'{host}, {RATIOS[0]}',
        point=(host, ratio),
        settings={
            scale: Setting(config=file, steps={step: ratio}) for scale, file in files.items()
        },
    )


rows = [row(host, ratio) for host in HOSTS for ratio in RATIOS]
study = Study(
    title='Fig. 8: coupling and the mask ratio',
    rows=rows,
    axis='mask ratio',
    published=[
        Published(
            title='Fig. 8',
            columns={'cr_inter/last/mean': 'Coupling Ratio'},
            rows={row.name: (None,) for row in rows},
            says='coupling rises strongly with the mask ratio',
        )
    ],
)
