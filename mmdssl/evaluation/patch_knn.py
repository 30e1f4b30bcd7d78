"""Patch k-NN segmentation: every pixel takes the label that neighbours of its patch have there.

The frozen evaluation of "Cluster and Predict Latent Patches" (CAPI, 2025) as its public code has
it. A row of the memory is a patch of the training images with the labels of all its pixels; the
features are standardised by channel. The k nearest patches of a query, by cosine or by Euclidean
distance, vote for each position within the patch, and of equal counts the lowest label wins.
Distance and k are those that do best on a part of the training images, the tuning part, which then
joins the memory.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, UInt8
from torch import Tensor

from mmdssl.evaluation.knn import knn_search, row_tiles
from mmdssl.evaluation.labelled_patches import (
    IGNORED,
    Features,
    LabelledPatches,
    Maps,
    check_images,
    check_memory,
    pixels_per_patch,
)
from mmdssl.evaluation.map_scores import score_votes

__all__ = [
    'PatchDistance',
    'channel_statistics',
    'evaluate_parts',
    'patch_knn_segmentation',
    'split_tuning',
    'vote_maps',
]

PatchDistance = Literal['cosine', 'l2']

_SEARCHED = 2**16  # query patches that go through the memory together
_VOTING = 2**25  # votes (patches x labels x pixels) that are held at once: 64 MB


def channel_statistics(
    blocks: Sequence[Float[Tensor, '_ c']],
) -> tuple[Float64[np.ndarray, ' c'], Float64[np.ndarray, ' c']]:
    """Mean and standard deviation (population) of every channel; 1 for one without deviation."""
    count = sum(map(len, blocks))
    mean = sum(block.double().sum(dim=0) for block in blocks) / count
    square = sum((block.double() - mean).square().sum(dim=0) for block in blocks) / count
    scale = torch.as_tensor(square).sqrt()
    return torch.as_tensor(mean).numpy(), scale.where(scale > 0, 1.0).numpy()


def split_tuning(images: int, share: float, seed: int = 0) -> Bool[np.ndarray, ' n']:
    """Which images are the tuning part: a random ``share`` of them, at least one.

    Raises:
        ValueError: If the share is not between 0 and 1 or nothing is left beside that part.
    """
    if not 0 < share < 1 or images < 2:
        raise ValueError(
            f'tune_share={share} of {images} bank images: k and distance are chosen on a share '
            'between 0 and 1 of at least two images'
        )
    number = min(images - 1, max(1, round(share * images)))
    chosen = np.zeros(images, bool)
    chosen[np.random.default_rng(seed).permutation(images)[:number]] = True
    return chosen


def vote_maps(
    queries: LabelledPatches,
    memory: LabelledPatches,
    *,
    neighbours: Sequence[int],
    distance: PatchDistance,
    device: str | torch.device | None = None,
) -> dict[int, list[UInt8[np.ndarray, '_ p']]]:
    """Labels that the neighbours of every patch vote for, pixel by pixel.

    Args:
        queries: Patches, standardised.
        memory: Patches, standardised, without ignored ones.
        neighbours: Numbers k; one search serves them all.
        distance: 'cosine' or 'l2'.
        device: Where to search.

    Returns:
        By k, labels (n_i, p) uint8 by image.

    Raises:
        ValueError: If the memory is empty or smaller than the largest k.
    """
    most = max(neighbours)
    table = np.concatenate(memory.labels) if memory.labels else np.zeros((0, 1), np.uint8)
    check_memory(len(table), most)
    # Labels as their ranks, so that votes need no more room than there are labels.
    known, ranks = np.unique(table, return_inverse=True)
    ranked = torch.from_numpy(ranks.reshape(table.shape).astype(np.uint8))
    found: dict[int, list[UInt8[np.ndarray, '_ p']]] = {k: [] for k in neighbours}
    at_once = max(1, _VOTING // (len(known) * table.shape[1]))
    for part in row_tiles(queries.features, _SEARCHED):
        _, index = knn_search(part, memory.features, most, distance=distance, device=device)
        for near in index.split(at_once):
            votes = torch.zeros(len(near), len(known), table.shape[1], dtype=torch.int16)
            for place in range(most):
                labels = ranked[near[:, place]].long()[:, None]  # (q, 1, p)
                votes.scatter_add_(1, labels, torch.ones_like(labels, dtype=torch.int16))
                if place + 1 in found:
                    found[place + 1].append(known[votes.argmax(dim=1).numpy()])
    ends = np.cumsum([len(rows) for rows in queries.labels])[:-1]
    return {k: np.split(np.concatenate(rows), ends) for k, rows in found.items()}


def evaluate_parts(
    train: LabelledPatches,
    tune: LabelledPatches | None,
    query: LabelledPatches,
    *,
    num_classes: int,
    neighbours: Sequence[int] = (1, 3, 10, 30),
    distances: Sequence[PatchDistance] = ('cosine', 'l2'),
    ignored: Sequence[int] = (),
    bootstrap: int = 0,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> tuple[dict[str, float], list[UInt8[np.ndarray, '_ p']]]:
    """Standardise, choose, predict, score.

    The parts are changed in place: standardised, and without ignored patches where they are memory.

    Args:
        train: Patches that give mean and deviation of the channels and make up the memory.
        tune: Patches that k and distance are chosen on and that join the memory then; None: none,
            for a single setting.
        query: Patches that are predicted.
        num_classes: Number of classes.
        neighbours: Numbers k.
        distances: Of 'cosine' and 'l2'.
        ignored: Labels that are not scored and make no memory, beside 255.
        bootstrap: See :func:`score_votes`.
        seed: See :func:`score_votes`.
        device: Where to search.

    Returns:
        Numbers as of :func:`patch_knn_segmentation`, and the predicted labels (n_i, p) by image.

    Raises:
        ValueError: If there are several settings and nothing to choose on, or data do not fit.
    """
    settings = [(name, k) for k in neighbours for name in distances]
    if not settings or min(neighbours) < 1 or not set(distances) <= {'cosine', 'l2'}:
        raise ValueError(
            f'neighbours={tuple(neighbours)} and distances={tuple(distances)}: give positive '
            "numbers, and 'cosine', 'l2' or both"
        )
    skipped = (*ignored, IGNORED)
    mean, scale = channel_statistics(train.features)
    scoring: dict[str, Any] = dict(num_classes=num_classes, ignored=ignored)
    train.standardise(mean, scale)
    train.drop(skipped)
    query.standardise(mean, scale)
    tuned: dict[tuple[PatchDistance, int], float] = {}
    best = settings[0]
    if tune is not None:
        tune.standardise(mean, scale)
        for name in distances:
            found = vote_maps(tune, train, neighbours=neighbours, distance=name, device=device)
            for k, given in found.items():
                tuned[name, k] = score_votes(given, tune.labels, **scoring)['miou']
        best = max(settings, key=tuned.__getitem__)  # of equals the first
        tune.drop(skipped)
        train = train + tune
    elif len(settings) > 1:
        raise ValueError(
            f'{len(settings)} settings of k and distance and no tuning part to choose on'
        )
    name, k = best
    given = vote_maps(query, train, neighbours=(k,), distance=name, device=device)[k]
    scores = score_votes(given, query.labels, **scoring, bootstrap=bootstrap, seed=seed)
    scores |= {f'tune_{name}_{k}': value for (name, k), value in tuned.items()}
    sizes = dict(num_memory=sum(map(len, train.labels)), num_images=len(query.labels))
    return dict(scores, k=k, l2=int(name == 'l2'), **sizes), given


def patch_knn_segmentation(
    bank_features: Features,
    bank_maps: Maps,
    features: Features,
    maps: Maps,
    *,
    num_classes: int,
    neighbours: Sequence[int] = (1, 3, 10, 30),
    distances: Sequence[PatchDistance] = ('cosine', 'l2'),
    ignored: Sequence[int] = (),
    tune_share: float = 0.1,
    bootstrap: int = 0,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> dict[str, float]:
    """The whole protocol on features that are at hand.

    Args:
        bank_features: (h, w, C) patch features by labelled image.
        bank_maps: (H, W) their label maps, H and W multiples of h and w; 255 is ignored.
        features: The same of the images that are predicted.
        maps: Their true maps.
        num_classes: Number of classes, at most 255.
        neighbours: Numbers k; the best on the tuning part is taken.
        distances: Of 'cosine' and 'l2'; the best is taken.
        ignored: Labels that are not scored, and patches of which make no memory, beside 255.
        tune_share: Share of the bank's images, at random, that settings are chosen on. With one
            setting there is no tuning part.
        bootstrap: Sets of images drawn for the interval of ``miou``, 0 for none.
        seed: Of the tuning part and of these draws.
        device: Where to search; None: a GPU where there is one.

    Returns:
        ``miou``, ``miou_without_ignored`` and ``accuracy`` in percent (see :func:`score_votes`),
        ``tune_<distance>_<k>`` (mIoU on the tuning part), the chosen ``k`` and whether the distance
        is ``l2``, ``num_memory`` patches and ``num_images`` predicted.

    Raises:
        ValueError: If features, maps and settings do not fit.
    """
    check_images(bank_features, bank_maps, num_classes=num_classes, side='bank', ignored=ignored)
    check_images(features, maps, num_classes=num_classes, side='queries')
    pixels_per_patch([*bank_features, *features], [*bank_maps, *maps])
    train, tune = LabelledPatches.of(bank_features, bank_maps), None
    if len(neighbours) * len(distances) > 1:
        train, tune = train.split(split_tuning(len(bank_maps), tune_share, seed))
    scores, _ = evaluate_parts(
        train,
        tune,
        LabelledPatches.of(features, maps),
        num_classes=num_classes,
        neighbours=neighbours,
        distances=distances,
        ignored=ignored,
        bootstrap=bootstrap,
        seed=seed,
        device=device,
    )
    return scores
