"""Do hosts, with and without the branch, learn about objects from a few thousand photos?

    mmdssl study photos/from_nothing --scale cores --data-root PHOTOS --seeds 0 1 2 --jobs 2

Half-width ResNet-18s on CPU cores, about an hour a run. What one seed has shown so far:
configs/photos/README.md. The floor is the untrained net whose BatchNorms know the data.
"""

import dataclasses

from mmdssl.studies import SCALES, Row, Setting, Study, controls


def family(host: str, run: str, iters: int) -> list[Row]:
    """A host, its partner and its controls."""
    base, partner = (
        Row(
            name=name,
            settings={'cores': Setting(config=f'photos/{name}_{run}_photos.py', iters=iters)},
            role=role,
            base=host if name != host else '',
        )
        for name, role in ((host, 'base'), (f'{host}-d', 'decoupled'))
    )
    return [base, partner, *controls(base, optional=True)]


study = Study(
    title='From nothing on photos, on CPU cores',
    scales={
        'cores': dataclasses.replace(
            SCALES['photos-gpu'],
            purpose='a few thousand photos, one CPU core, an hour a run',
            workers=0,
            amp='bf16',  # as the first seed was trained
        )
    },
    rows=[
        *family('soco', 'r18w32-96px_1xb64-600i', 1500),
        *family('densecl', 'r18w32-64px_1xb64-3200i', 3200),
    ],
)
