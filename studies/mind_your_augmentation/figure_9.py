"""Fig. 9 of "Mind Your Augmentation" (ICLR 2024, App. C.2): coupling and how exactly pairs match.

    mmdssl study mind_your_augmentation/figure_9 --scale scenes --seeds 0 1 2 --jobs 2

DenseCL and iBOT, 200 epochs of COCO, without the branch. S-T/@n pairs a cell with the n-th most
similar one of the key view, S-T/Rand with any; T@n gives a masked patch the n-th most similar patch
of the teacher. The first of each is the method itself. The paper prints no n; 4 and 16 are ours.
"""

from mmdssl.studies import Published, Row, Setting, Study

HOSTS = {
    'DenseCL': (
        {'S-T/@1': 1, 'S-T/@4': 4, 'S-T/@16': 16, 'S-T/Rand': 'random'},
        'ablations/densecl-{}_resnet50_8xb32-coslr-200e_coco.py',
        'densecl/densecl_resnet50_8xb32-coslr-200e_coco.py',
        'scenes/densecl_r18w32-128px_1xb32-250i_scenes.py',
    ),
    'iBOT': (
        {'T@1': 1, 'T@4': 4, 'T@16': 16},
        'ablations/ibot-{}_vit-small-p16_8xb64-coslr-200e_coco.py',
        'ablations/ibot_vit-small-p16_8xb64-coslr-200e_coco.py',
        'scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py',
    ),
}


def family(host: str) -> list[Row]:
    """A host, and the host with less exact pairs."""
    rules, changed, plain, scenes = HOSTS[host]
    rows = []
    for name, rule in rules.items():
        word = name.lower().replace('-', '').replace('/', '').replace('@', '')
        files = {'paper': plain if rule == 1 else changed.format(word), 'scenes': scenes}
        rows.append(
            Row(
                name=name,
                role='base' if rule == 1 else 'variant',
                base='' if rule == 1 else rows[0].name,
                point=(host, 'any' if rule == 'random' else f'n = {rule}'),
                settings={scale: Setting(config=file) for scale, file in files.items()},
                options={} if rule == 1 else {'model.correspondence': rule},
            )
        )
    return rows


rows = [row for host in HOSTS for row in family(host)]
study = Study(
    title='Fig. 9: coupling and how exactly pairs match',
    rows=rows,
    axis='what a feature is paired with',
    published=[
        Published(
            title='Fig. 9',
            columns={'cr_inter/last/mean': 'Coupling Ratio'},
            rows={row.name: (None,) for row in rows},
            says='coupling rises as pairs get less exact',
        )
    ],
)
