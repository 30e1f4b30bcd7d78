"""Images per second of selective search on one core, and how much faster than plain Python.

`plain_search` is the search in the form in which it is published for Python and was run for SoCo: a
loop over pixels with their label as a fourth channel, one mask per segment, a dict of regions and a
dict of similarities that is sorted at every merge. It must give the same boxes, image by image, or
the benchmark fails. It begins with scikit-image's segmentation, which is compiled; the ratio
of both parts, segmentation and the rest, is stated as well. Both run in turn on the same photos, so
that ratios mean something on a busy machine, too; times are CPU time.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import skimage.color
import skimage.feature
import skimage.segmentation
import skimage.util

from mmdssl.cli.benchmarks.loader import jpeg_files
from mmdssl.datasets.decode import decode_image
from mmdssl.datasets.proposals.segments import describe_segments, felzenszwalb_segments
from mmdssl.datasets.proposals.selective_search import merge_segments, selective_search

__all__ = ['plain_search', 'rows']

IMAGES = 6
SETTINGS: dict[str, Any] = dict(scale=300, sigma=0.9, min_size=100)
Region = dict[str, Any]


def plain_search(
    image: np.ndarray, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Selective search without arrays over regions.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) segments; None: Felzenszwalb's.

    Returns:
        Boxes (M, 4) x y w h and sizes (M,) of the regions, int64.
    """
    if labels is None:
        labels = plain_segments(image)
    regions = _plain_regions(image, labels)
    _plain_merging(regions, image.shape[0] * image.shape[1])
    boxes = [
        (r['left'], r['top'], r['right'] - r['left'], r['bottom'] - r['top'])
        for r in regions.values()
    ]
    return np.array(boxes), np.array([r['size'] for r in regions.values()])


def plain_segments(image: np.ndarray) -> np.ndarray:
    """(H, W) labels of a picture, by scikit-image."""
    return skimage.segmentation.felzenszwalb(skimage.util.img_as_float(image), **SETTINGS)


def _plain_regions(image: np.ndarray, labels: np.ndarray) -> dict[int, Region]:
    """A dict per segment: extent pixel by pixel, histograms with a mask per segment."""
    regions: dict[int, Region] = {}
    floats = image.astype(np.float64)
    for y, row in enumerate(np.dstack([floats, labels])):
        for x, (_, _, _, label) in enumerate(row):
            if label not in regions:
                regions[label] = dict(left=x, right=x, top=y, bottom=y)
            if x < regions[label]['left']:
                regions[label]['left'] = x
            if x > regions[label]['right']:
                regions[label]['right'] = x
            if y > regions[label]['bottom']:
                regions[label]['bottom'] = y
    hsv = skimage.color.rgb2hsv(floats)
    with warnings.catch_warnings():  # scikit-image prefers integers; they are integers
        warnings.simplefilter('ignore')
        patterns = np.stack(
            [skimage.feature.local_binary_pattern(floats[..., c], 8, 1.0) for c in range(3)], axis=2
        )
    for label, region in regions.items():
        mask = labels == label
        region['size'] = int(mask.sum())
        region['colour'] = _plain_histogram(hsv[mask], 25)
        region['texture'] = _plain_histogram(patterns[mask], 10)
    return regions


def _plain_histogram(pixels: np.ndarray, bins: int) -> np.ndarray:
    """Histograms over 0..255 of three channels (n, 3), end to end, as shares of the pixels."""
    counts = [np.histogram(pixels[:, c], bins, (0.0, 255.0))[0] for c in range(3)]
    return np.concatenate(counts) / len(pixels)


def _plain_similarity(a: Region, b: Region, image_size: int) -> float:
    colour = sum(min(p, q) for p, q in zip(a['colour'], b['colour'], strict=True))
    texture = sum(min(p, q) for p, q in zip(a['texture'], b['texture'], strict=True))
    width = max(a['right'], b['right']) - min(a['left'], b['left'])
    height = max(a['bottom'], b['bottom']) - min(a['top'], b['top'])
    size = 1.0 - (a['size'] + b['size']) / image_size
    fill = 1.0 - (width * height - a['size'] - b['size']) / image_size
    return colour + texture + size + fill


def _plain_neighbours(a: Region, b: Region) -> bool:
    return any(
        a['left'] < b[x] < a['right'] and a['top'] < b[y] < a['bottom']
        for x in ('left', 'right')
        for y in ('top', 'bottom')
    )


def _plain_merging(regions: dict[int, Region], image_size: int) -> None:
    """Merge the most similar neighbours until none are left; adds to ``regions``."""
    similar: dict[tuple[int, int], float] = {}
    names = list(regions)
    for i, one in enumerate(names):
        for two in names[i + 1 :]:
            if _plain_neighbours(regions[one], regions[two]):
                similar[one, two] = _plain_similarity(regions[one], regions[two], image_size)
    while similar:
        pair = sorted(similar.items(), key=lambda item: item[1])[-1][0]
        a, b = regions[pair[0]], regions[pair[1]]
        new = max(regions) + 1
        size = a['size'] + b['size']
        regions[new] = dict(
            left=min(a['left'], b['left']),
            right=max(a['right'], b['right']),
            top=min(a['top'], b['top']),
            bottom=max(a['bottom'], b['bottom']),
            size=size,
            colour=(a['colour'] * a['size'] + b['colour'] * b['size']) / size,
            texture=(a['texture'] * a['size'] + b['texture'] * b['size']) / size,
        )
        ended = [key for key in similar if key[0] in pair or key[1] in pair]
        for key in ended:
            del similar[key]
        for key in ended:
            if key != pair:
                other = key[1] if key[0] in pair else key[0]
                similar[new, other] = _plain_similarity(regions[new], regions[other], image_size)


def rows(repeat: int = 3, image_dir: Path | None = None) -> list[dict[str, Any]]:
    """Times both searches and the stages of ours.

    Args:
        repeat: Rounds over all photos; medians count.
        image_dir: Folder of photos; None: the reference data beside the repository.

    Returns:
        ``name``, ``value``, ``unit``, and ``target`` and ``reference`` where they apply.

    Raises:
        RuntimeError: The two searches give different boxes.
    """
    files = jpeg_files(image_dir)
    chosen = files[:: max(1, len(files) // IMAGES)][:IMAGES]
    photos = [decode_image(file) for file in chosen]
    seconds: dict[str, list[float]] = {
        key: [] for key in ('plain', 'plain_segment', 'ours', 'segment', 'describe', 'merge')
    }
    ratios, segment_ratios, rest_ratios = [], [], []

    def timed(key: str, function: Callable[..., Any], *args: Any, **settings: Any) -> Any:
        start = time.process_time()
        result = function(*args, **settings)
        seconds[key].append(time.process_time() - start)
        return result

    felzenszwalb_segments(photos[0][:64, :64], **SETTINGS)  # imports and first calls
    for _ in range(repeat):
        for photo in photos:
            boxes, sizes = timed('plain', plain_search, photo)
            found = timed('ours', selective_search, photo, **SETTINGS)
            if not (np.array_equal(found.boxes, boxes) and np.array_equal(found.size, sizes)):
                raise RuntimeError('the fast search and the plain one give different boxes')
            timed('plain_segment', plain_segments, photo)
            labels = timed('segment', felzenszwalb_segments, photo, **SETTINGS)
            segments = timed('describe', describe_segments, photo, labels)
            timed('merge', merge_segments, segments, image_size=labels.size)
            last = {key: values[-1] for key, values in seconds.items()}
            ratios.append(last['plain'] / last['ours'])
            segment_ratios.append(last['plain_segment'] / last['segment'])
            rest = last['describe'] + last['merge']
            rest_ratios.append((last['plain'] - last['plain_segment']) / rest)
    middle = {key: statistics.median(values) for key, values in seconds.items()}
    about = f'{len(photos)} photos, mean {np.mean([p.shape[:2] for p in photos], 0).round()}'
    stages = [
        dict(name=f'stage: {name}', value=1e3 * middle[key], unit='ms')
        for key, name in (
            ('segment', 'segmentation'),
            ('plain_segment', 'segmentation by scikit-image'),
            ('describe', 'extents and histograms'),
            ('merge', 'neighbours and merging'),
        )
    ]
    return [
        dict(name='selective search', value=1 / middle['ours'], unit='images/s', reference=about),
        dict(name='plain Python search', value=1 / middle['plain'], unit='images/s'),
        dict(
            name='selective search, times faster than plain, same boxes',
            value=statistics.median(ratios),
            unit='x',
            target='>= 3',
            reference=f'{min(ratios):.2f} to {max(ratios):.2f}',
        ),
        *(
            dict(
                name=f'the same, {part}',
                value=statistics.median(values),
                unit='x',
                reference=f'{min(values):.2f} to {max(values):.2f}',
            )
            for part, values in (('segmentation', segment_ratios), ('the rest', rest_ratios))
        ),
        *stages,
    ]
