"""How far a score could have come out otherwise: intervals by drawing the images anew.

The objects of one image share its light, its camera and its background; they are not independent.
So images are drawn with replacement, not objects (a cluster bootstrap), and a score is the share
of hits among the objects of the images drawn. Two networks measured on the same images are drawn
together: the interval of their difference is much narrower than those of their scores.
"""

import numpy as np
from jaxtyping import Float, Int, Shaped

__all__ = ['bootstrap_shares', 'bootstrap_sums', 'percentile_interval', 'ratio_interval']

_AT_ONCE = 10**7  # drawn counts held at a time: 80 MB


def bootstrap_shares(
    hits: Shaped[np.ndarray, 'n k'],
    counts: Int[np.ndarray, ' n'],
    *,
    samples: int = 1000,
    seed: int = 0,
) -> Float[np.ndarray, '{samples} k']:
    """Shares of hits in ``samples`` sets of images drawn with replacement.

    Args:
        hits: (n, k) hits by image, k scores side by side.
        counts: (n,) objects by image, each at least 1, so that no drawn set is empty.
        samples: Sets.
        seed: Of the draws; the same seed and number of images give the same sets.

    Returns:
        (samples, k) shares in [0, 1].

    Raises:
        ValueError: If there are no images, one is without objects, or ``samples`` is below 1.
    """
    if not len(counts) or (np.asarray(counts) < 1).any() or samples < 1:
        raise ValueError(
            f'a bootstrap draws from images with objects, at least once; got {len(counts)} images, '
            f'samples={samples}'
        )
    columns = np.concatenate([hits, np.asarray(counts)[:, None]], axis=1)
    sums = bootstrap_sums(columns, samples=samples, seed=seed)
    return sums[:, :-1] / sums[:, -1:]


def bootstrap_sums(
    values: Shaped[np.ndarray, 'n k'], *, samples: int = 1000, seed: int = 0
) -> Shaped[np.ndarray, '{samples} k']:
    """Sums of ``values`` (n, k) by image over ``samples`` sets of n images drawn with replacement.

    Raises:
        ValueError: If there are no images or ``samples`` is below 1.
    """
    images = len(values)
    if not images or samples < 1:
        raise ValueError(f'a bootstrap draws from images, at least once; got {images} images')
    generator = np.random.default_rng(seed)
    even = np.full(images, 1 / images)
    step = max(1, _AT_ONCE // images)
    sums = []
    for start in range(0, samples, step):
        times = generator.multinomial(images, even, size=min(step, samples - start))  # (s, n)
        sums.append(times @ values)
    return np.concatenate(sums)


def percentile_interval(
    values: Float[np.ndarray, ' n'], confidence: float = 0.95
) -> tuple[float, float]:
    """The middle ``confidence`` of drawn values (samples,).

    Raises:
        ValueError: If ``confidence`` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f'confidence={confidence} must lie between 0 and 1')
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def ratio_interval(
    sums: Shaped[np.ndarray, ' n'],
    counts: Int[np.ndarray, ' n'],
    *,
    samples: int,
    seed: int,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Interval of ``sums.sum() / counts.sum()``, images drawn anew, each with all that is its own.

    Args:
        sums: (n,) by image, e.g. the hits or the sum of a score over its objects.
        counts: (n,) by image, what they are sums of; images with none are left out.
        samples: Sets of images.
        seed: Of the draws.
        confidence: Of the interval.

    Raises:
        ValueError: If no image counts, or a setting is not as said.
    """
    kept = np.asarray(counts) > 0
    drawn = bootstrap_shares(
        np.asarray(sums)[kept][:, None], np.asarray(counts)[kept], samples=samples, seed=seed
    )
    return percentile_interval(drawn[:, 0], confidence)
