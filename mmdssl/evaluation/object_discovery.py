"""Object discovery without training: one box a photo out of the patches' similarities.

LOST (arXiv 2109.14279) starts at the patch that resembles the fewest others and grows from there.
TokenCut (arXiv 2202.11539) cuts the graph of similar patches in two by its second eigenvector. Both
read keys of a transformer's last block; DINOv3 compares networks by their outputs instead.
CorLoc is the share of photos whose box meets any annotated one by half.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped
from scipy.linalg import eigh
from scipy.ndimage import label as connected_parts
from torch import Tensor

from mmdssl.evaluation.bootstrap import ratio_interval
from mmdssl.evaluation.gathering import GatheredMetric
from mmdssl.evaluation.tokens import token_of
from mmdssl.registry import METRICS

__all__ = ['Discovered', 'ObjectDiscovery', 'box_ious', 'cells_to_box', 'lost', 'tokencut']

Method = Literal['lost', 'tokencut', 'tokencut_weighted']
_HIT = 0.5  # IoU from which on a box counts


class Discovered(NamedTuple):
    """An object in the grid of patches, and how it was found.

    Attributes:
        mask: (h, w) bool, the part that holds the seed, connected over edges.
        seed: Row-major number of the seed.
        foreground: (h, w) bool, all that is taken for foreground, connected or not.
        scores: (N,) float64: LOST's sum of similarities, TokenCut's eigenvector.
        degree: (N,) int64, LOST's number of similar patches; TokenCut: none (0,).
        similar: (S,) int64, LOST's patches that vote, rising; TokenCut: none (0,).
    """

    mask: Bool[np.ndarray, 'h w']
    seed: int
    foreground: Bool[np.ndarray, 'h w']
    scores: Float[np.ndarray, ' n']
    degree: Int64[np.ndarray, ' _']
    similar: Int64[np.ndarray, ' _']


def lost(
    features: Float[Tensor, 'c h w'] | Float[np.ndarray, 'c h w'],
    *,
    k_patches: int = 100,
    center: bool = False,
) -> Discovered:
    """LOST on one photo.

    Args:
        features: (C, h, w), keys as they are: not normalised.
        k_patches: Patches of lowest degree that may vote with the seed.
        center: Take the photo's mean off first. Where no product is negative (a CNN's outputs)
            every patch resembles all others, and nothing is found without.

    Raises:
        ValueError: If ``k_patches`` is below 1.
    """
    if k_patches < 1:
        raise ValueError(f'lost: k_patches={k_patches} must be at least 1')
    cells, grid = _cells(features)  # (N, C)
    if center:
        cells = cells - cells.mean(axis=0)
    products = cells @ cells.T
    positive = products > 0
    degree = positive.sum(axis=1) - positive.diagonal()
    # Of equal degrees the first: a stable sort.
    chosen = np.argsort(degree, kind='stable')[:k_patches]
    seed = int(chosen[0])
    similar = np.sort(chosen[positive[seed, chosen]])
    sums = products[similar].sum(axis=0)
    foreground = (sums > 0).reshape(grid)
    mask = _part_of(foreground, seed)
    return Discovered(mask, seed, foreground, sums, degree.astype(np.int64), similar)


def tokencut(
    features: Float[Tensor, 'c h w'] | Float[np.ndarray, 'c h w'],
    *,
    tau: float = 0.2,
    weighted: bool = False,
    eps: float = 1e-5,
    center: bool = False,
) -> Discovered:
    """TokenCut on one photo.

    Args:
        features: (C, h, w), of any length.
        tau: Cosine above which two patches are joined.
        weighted: Joined by their cosine, from ``tau`` on, in place of by 1.
        eps: What joins all others.
        center: Take the photo's mean off first.

    Raises:
        ValueError: If ``eps`` is not positive.
    """
    if not eps > 0:
        raise ValueError(f'tokencut: eps={eps} must be positive, or the graph may fall apart')
    cells, grid = _cells(features)
    if center:
        cells = cells - cells.mean(axis=0)
    norms = np.linalg.norm(cells, axis=1, keepdims=True)
    cells = cells / np.where(norms > 0, norms, 1)
    cosines = cells @ cells.T
    if weighted:
        joined = np.where(cosines >= tau, cosines, eps)
    else:
        joined = np.where(cosines > tau, 1.0, eps)
        np.fill_diagonal(joined, 1.0)
    root = 1 / np.sqrt(np.maximum(joined.sum(axis=1), eps))  # D^-1/2
    # The second smallest of (D - W) y = lambda D y is the second largest of D^-1/2 W D^-1/2.
    count = len(cells)
    _, vectors = eigh(joined * root[:, None] * root[None], subset_by_index=[max(count - 2, 0)] * 2)
    cut = root * vectors[:, 0]
    side = cut > cut.mean()
    seed = int(np.abs(cut).argmax())
    if not side[seed]:
        cut, side = -cut, ~side
    foreground = side.reshape(grid)
    none = np.zeros(0, np.int64)
    return Discovered(_part_of(foreground, seed), seed, foreground, cut, none, none)


def cells_to_box(
    mask: Bool[np.ndarray, 'h w'], stride: Sequence[float], image_size: Sequence[float]
) -> Float[np.ndarray, ' 4']:
    """Box around the marked cells.

    Args:
        mask: (h, w) bool, with a marked cell.
        stride: Pixels of a cell, (y, x).
        image_size: (height, width), without padding, at which the box ends.

    Returns:
        (4,) float64, x1 y1 x2 y2 in pixels.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    ends = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] * np.array([*stride[::-1]] * 2)
    return np.minimum(ends, [np.inf, np.inf, image_size[1], image_size[0]])


def box_ious(
    box: Shaped[np.ndarray, ' 4'], others: Shaped[np.ndarray, 'n 4']
) -> Float[np.ndarray, ' n']:
    """Intersection over union of a box with others (N, 4), x1 y1 x2 y2."""
    others = np.asarray(others, np.float64).reshape(-1, 4)
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    areas = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - shared
    return shared / np.where(areas > 0, areas, 1)


def _cells(features: Any) -> tuple[Float[np.ndarray, 'n c'], tuple[int, int]]:
    values = np.asarray(features, np.float64)
    if values.ndim != 3 or not values.shape[1] * values.shape[2]:
        raise ValueError(f'features are (C, h, w) of one photo, got {values.shape}')
    # (C, h, w) -> (h*w, C)
    return values.reshape(len(values), -1).T, (values.shape[1], values.shape[2])


def _part_of(foreground: Bool[np.ndarray, 'h w'], seed: int) -> Bool[np.ndarray, 'h w']:
    """The part of the foreground, connected over edges, that holds the seed."""
    parts, _ = connected_parts(foreground)
    return parts == parts.reshape(-1)[seed]


# By method, whether the box hits, a row of thresholds each.
_Item = dict[str, list[bool]]


@METRICS.register_module()
class ObjectDiscovery(GatheredMetric):
    """CorLoc of boxes that are found without training.

    Reads of every sample ``patch_tokens`` of :class:`FeatureExtractor` with ``tokens`` and
    ``gt_instances.bboxes`` in pixels of the input; samples without either are passed over. The
    published protocol takes images at their own size (``pad_to`` of the extractor, batches of one);
    squashed ones are as good for a comparison.

    Reports for every method ``corloc`` in percent of the images, an image without annotated boxes
    being a miss, and ``images``, their number; with ``bootstrap`` also ``corloc_low`` and
    ``corloc_high``. With several thresholds TokenCut's is that of the first, and
    ``corloc_best`` with its ``tau_best`` the best of all: chosen on the data it is measured on.

    Args:
        methods: 'lost', 'tokencut', 'tokencut_weighted'.
        features: Place of the network that is read, 'keys' or 'last', see
            :mod:`mmdssl.evaluation.tokens`.
        k_patches: Of LOST.
        tau: Of TokenCut, one or several.
        eps: Of TokenCut.
        center: Take each photo's mean feature off; for features that are all positive.
        tag: Only images of this part of a :class:`TaggedConcat`; None: all.
        bootstrap: Sets of images drawn for the interval, 0 for none.
        confidence: Of the interval.
        seed: Of these draws.
        prefix: Of the reported names.

    Raises:
        ValueError: If there is no such method; on evaluation, if no image had tokens and boxes.
    """

    default_prefix = 'discovery'

    def __init__(
        self,
        *,
        methods: Sequence[Method] = get_args(Method),
        features: str = 'keys',
        k_patches: int = 100,
        tau: float | Sequence[float] = 0.2,
        eps: float = 1e-5,
        center: bool = False,
        tag: str | None = None,
        bootstrap: int = 0,
        confidence: float = 0.95,
        seed: int = 0,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        unknown = [one for one in methods if one not in get_args(Method)]
        if unknown or not methods or isinstance(methods, str):
            raise ValueError(
                f'ObjectDiscovery: methods={methods!r} must be a list out of {get_args(Method)}'
            )
        self.methods, self.features = tuple(methods), features
        self.k_patches, self.eps, self.center = k_patches, eps, center
        self.taus = (tau,) if isinstance(tau, (int, float)) else tuple(tau)
        if not self.taus:
            raise ValueError('ObjectDiscovery: tau is an empty list: give a threshold such as 0.2')
        self.tag = tag
        self.bootstrap, self.confidence, self.seed = bootstrap, confidence, seed

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Find a box image by image; one item each."""
        for sample in data_samples:
            item: _Item = {}
            tokens, objects = sample.get('patch_tokens'), sample.get('gt_instances')
            wanted = self.tag in (None, sample.get('tag'))
            if wanted and tokens is not None and objects is not None:
                features = token_of(tokens, self.features, self).numpy()
                truth = np.asarray(objects['bboxes'], np.float64)
                for method in self.methods:
                    item[method] = [
                        bool((box_ious(box, truth) >= _HIT).any())
                        for box in self.boxes(features, method, sample)
                    ]
            self.results.append(item)

    def boxes(
        self, features: Float[np.ndarray, 'c h w'], method: Method, sample: Mapping[str, Any]
    ) -> list[Float[np.ndarray, ' 4']]:
        """Boxes (4,) of a photo in pixels, one a threshold.

        Args:
            features: (C, h, w).
            method: See the class.
            sample: With ``img_shape`` and, where that is padded, ``batch_input_shape``.
        """
        size = sample['img_shape'][:2]
        whole = sample.get('batch_input_shape') or size
        stride = (whole[0] / features.shape[1], whole[1] / features.shape[2])
        if method == 'lost':
            found = [lost(features, k_patches=self.k_patches, center=self.center)]
        else:
            weighted = method == 'tokencut_weighted'
            found = [
                tokencut(features, tau=tau, weighted=weighted, eps=self.eps, center=self.center)
                for tau in self.taus
            ]
        return [cells_to_box(one.mask, stride, size) for one in found]

    def compute_metrics(self, results: list[_Item]) -> dict[str, float]:
        """CorLoc of every method; on the main process only."""
        judged = [item for item in results if item]
        if not judged:
            raise ValueError(
                f'ObjectDiscovery: none of {len(results)} samples has patch tokens and boxes: set '
                f'extractor=dict(tokens=[{self.features!r}]) and pack objects by PackObjects'
            )
        numbers: dict[str, float] = {}
        for method in self.methods:
            hits = np.array([item[method] for item in judged])  # (n, thresholds)
            shares = 100 * hits.mean(axis=0)
            numbers[f'{method}/corloc'] = float(shares[0])
            if self.bootstrap:
                ends = ratio_interval(
                    100.0 * hits[:, 0],
                    np.ones(len(hits), np.int64),
                    samples=self.bootstrap,
                    seed=self.seed,
                    confidence=self.confidence,
                )
                numbers[f'{method}/corloc_low'], numbers[f'{method}/corloc_high'] = ends
            if len(shares) > 1:
                best = int(shares.argmax())
                numbers[f'{method}/corloc_best'] = float(shares[best])
                numbers[f'{method}/tau_best'] = float(self.taus[best])
            numbers[f'{method}/images'] = len(hits)
        return numbers
