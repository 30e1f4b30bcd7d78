"""What the demo measured, in plain words: its table and its page."""

from collections.abc import Mapping
from pathlib import Path

from rich.table import Table as ConsoleTable

from mmdssl.visualization.report import (
    Figure,
    Report,
    Table,
    hardware,
    versions,
    without_paths,
    write_report,
)

__all__ = ['caveat', 'console_table', 'score_rows', 'write_demo_report']

Scores = Mapping[str, float]

_METRICS = (
    ('oknn/top1', 'O-KNN, top-1'),
    ('oknn/top5', 'O-KNN, top-5'),
    ('oknn_d/top1', 'O-KNN-D, top-1'),
    ('oknn_d/top5', 'O-KNN-D, top-5'),
    ('oknn_clean_bank/top1', 'clean bank, disturbed queries, top-1'),
)

_FIGURES = (
    (
        'xd',
        'De-coupled views',
        'How the branch makes X^D out of a key view X, a mask M and another image X_B of the '
        'batch. Look for objects of X that survive on foreign ground: on these patches the '
        'student must give what the teacher gave for the undisturbed X. In half of the samples '
        'the mask is inverted, so that the cut rectangles survive instead.',
    ),
    (
        'views',
        'Views of one batch',
        'Both views of some images: as cropped by the loader, after the colour changes on the '
        'device, under the mask of masked image modelling (half of the views have none), under '
        'the mask for X^D, and as X^D. Yellow boxes are the regions that the masks were drawn '
        'for. Look for views whose objects are still recognisable, and for cuts inside boxes.',
    ),
    (
        'masks',
        'Kinds of masks',
        'Masks over the same regions (boxes), on the patch grid of the network; blue is cut. '
        'Where regions overlap, plain cutout adds up and some regions all but vanish; region '
        'collaborative cutout (RCC) takes about the same share of every region. Block-wise and '
        'random masks know nothing of regions.',
    ),
    (
        'curves',
        'The run',
        'Left: the losses. The CLS loss rises where the targets of the teacher spread over the '
        'prototypes (their logarithm, 6.2 for 512, means uniform); look for patch and '
        'decoupling loss to fall. Right: top-1 of object nearest neighbours in the teacher, '
        'measured during training; iteration 0 is the random net.',
    ),
    (
        'affinity',
        'Point affinity',
        'Cosine between the feature at the marked point and all others; first a point on an '
        'object, then one on the background, for each image. The random net answers to colour '
        'and position. Look for maps that follow the outline of the object, or avoid it.',
    ),
)


def score_rows(random: Scores, pretrained: Scores) -> list[tuple[str, str, str, str]]:
    """Name, random net, pre-trained and difference of every metric that was measured."""
    return [
        (
            label,
            f'{random[name]:.1f}',
            f'{pretrained[name]:.1f}',
            f'{pretrained[name] - random[name]:+.1f}',
        )
        for name, label in _METRICS
        if name in random and name in pretrained
    ]


def console_table(random: Scores, pretrained: Scores) -> ConsoleTable:
    """The scores for a terminal."""
    table = ConsoleTable('objects by nearest neighbours, %', title='iBOT-D on scenes')
    for name in ('random net', 'pre-trained', 'change'):
        table.add_column(name, justify='right')
    for row in score_rows(random, pretrained):
        table.add_row(*row)
    return table


def caveat(iterations: int, random: Scores, pretrained: Scores) -> str:
    """What the numbers show, and what not."""
    before, after = (
        f'O-KNN {side["oknn/top1"]:.1f}, O-KNN-D {side["oknn_d/top1"]:.1f}'
        for side in (random, pretrained)
    )
    return (
        f'These numbers show that the pipeline works: {iterations} iterations of a very small '
        f'network moved top-1 from {before} to {after}. They are no evidence for the claim of '
        'the papers: one seed, generated images, minutes of training, no comparison with iBOT. '
        'In scenes whose classes are colours and textures a random net is a strong start, and '
        'in so short a run features may take up context before they learn objects: both '
        'scores can end below the random net.'
    )


def write_demo_report(
    path: Path,
    *,
    random: Scores,
    pretrained: Scores,
    pictures: Mapping[str, Path],
    iterations: int,
    facts: Mapping[str, str],
    config_text: str,
) -> Path:
    """Write the demo's page.

    Args:
        path: HTML file to write.
        random: Metrics of the random net.
        pretrained: Metrics of the trained teacher.
        pictures: PNG files by the names of ``_FIGURES``; those absent are left out.
        iterations: Of the run.
        facts: Data, model, times, by name; versions and hardware are added.
        config_text: The whole config; absolute paths are cut.

    Returns:
        The path written.
    """
    objects = f'{pretrained["oknn/num_query"]:.0f}', f'{pretrained["oknn/num_bank"]:.0f}'
    report = Report(
        title='iBOT-D on generated scenes: the demo',
        lead=[
            'A small vision transformer was pre-trained without labels by iBOT with the '
            'de-coupling branch: views with foreign backgrounds teach dense features to '
            'describe an object without its surroundings.',
            caveat(iterations, random, pretrained),
        ],
        table=Table(
            header=['Objects by nearest neighbours, %', 'random net', 'pre-trained', 'change'],
            rows=score_rows(random, pretrained),
            caption=f'O-KNN: each of {objects[0]} validation objects gets the class that its 20 '
            f'nearest among {objects[1]} training objects vote for; features are those of the '
            'frozen teacher, averaged over the box of the object. O-KNN-D: the same after '
            'everything outside the boxes was replaced by another image. Labels are used here '
            'only, never in training.',
        ),
        figures=[
            Figure(title, pictures[name], caption)
            for name, title, caption in _FIGURES
            if name in pictures
        ],
        facts={**facts, 'Hardware': hardware(), 'Versions': versions()},
        texts={'Config': without_paths(config_text)},
    )
    return write_report(report, path)
