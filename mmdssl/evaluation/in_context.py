"""In-context dense retrieval: label maps read off the nearest patches of labelled images.

"Towards In-context Scene Understanding" (NeurIPS 2023), "Hummingbird", as its public evaluation
(open-hummingbird-eval 2.0) has it: a memory (:mod:`mmdssl.evaluation.patch_memory`) holds patches
of training images, each with the share of every class among its pixels. A patch of a validation
image takes the mean of the label vectors of its k nearest, weighted by softmax(cosine /
temperature); the grid of these vectors is brought to the size of the image, and the largest class
is the prediction. No training anywhere.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from mmdssl.evaluation.knn import knn_search
from mmdssl.evaluation.labelled_patches import (
    Features,
    Maps,
    as_rows,
    check_images,
    check_memory,
    pixels_per_patch,
)
from mmdssl.evaluation.map_scores import score_maps
from mmdssl.evaluation.patch_memory import (
    PatchMemory,
    Storage,
    Void,
    memory_draws,
    patches_per_image,
    remember,
)

__all__ = ['in_context_segmentation', 'label_vectors', 'predict_maps']

_SEARCHED = 2**16  # query patches that go through the memory together
_VOTING = 2**12  # query patches whose neighbours' label vectors are held at once


def label_vectors(
    queries: Float[Tensor, 'q c'],
    memory: PatchMemory,
    *,
    k: int = 30,
    temperature: float = 0.02,
    device: str | torch.device | None = None,
) -> Float32[Tensor, 'q k']:
    """Mean of the label vectors of the nearest patches, weighted by softmax(cosine / temperature).

    Args:
        queries: (Q, C) patch features, of any length.
        memory: Labelled patches.
        k: Neighbours.
        temperature: Of the softmax.
        device: Where to search.

    Returns:
        (Q, classes) float32 shares; they sum to 1, or less where pixels are of no class.

    Raises:
        ValueError: If the memory is empty or smaller than ``k``, or a setting is out of range.
    """
    check_memory(len(memory), k)
    if temperature <= 0:
        raise ValueError(f'temperature={temperature} must be positive')
    similarities, index = knn_search(
        F.normalize(queries.float(), dim=1), memory.features, k, device=device, progress=False
    )
    weights = (similarities / temperature).softmax(dim=1)  # (Q, k)
    found = []
    for own, near in zip(weights.split(_VOTING), index.split(_VOTING), strict=True):
        counts = torch.from_numpy(memory.counts[near.numpy()].astype(np.float32))  # (q, k, classes)
        found.append(torch.einsum('qk,qkc->qc', own, counts / memory.pixels))
    return torch.cat(found)


def predict_maps(
    features: Features,
    sizes: Sequence[tuple[int, int]],
    memory: PatchMemory,
    *,
    k: int = 30,
    temperature: float = 0.02,
    device: str | torch.device | None = None,
) -> Iterator[UInt8[np.ndarray, '_ _']]:
    """Predicted label maps of images, one by one; some 65,000 patches are searched together.

    Args:
        features: (h, w, C) by image.
        sizes: (H, W) of the maps.
        memory: Labelled patches.
        k: Neighbours.
        temperature: Of the softmax over their cosines.
        device: Where to search.

    Yields:
        (H, W) uint8 classes. Where no class has a share (patches of void alone), class 0.

    Raises:
        ValueError: See :func:`label_vectors`.
    """
    patches = [int(np.prod(np.shape(one)[:2])) for one in features]
    group = (np.cumsum(patches) - 1) // _SEARCHED
    console = Console(stderr=True)
    quiet = group[-1] == 0 or not console.is_terminal
    with Progress(console=console, transient=True, disable=quiet) as progress:
        for number in progress.track(np.unique(group), description='in-context maps'):
            images = np.flatnonzero(group == number)
            queries = torch.cat([as_rows(features[image]) for image in images])
            vectors = label_vectors(queries, memory, k=k, temperature=temperature, device=device)
            parts = vectors.split([patches[image] for image in images])
            for image, own in zip(images, parts, strict=True):
                grid = own.T.unflatten(1, np.shape(features[image])[:2])[None]  # (1, c, h, w)
                full = F.interpolate(grid, sizes[image], mode='bilinear', align_corners=False)
                yield full[0].argmax(dim=0).numpy().astype(np.uint8)


def in_context_segmentation(
    bank_features: Features,
    bank_maps: Maps,
    features: Features,
    maps: Maps,
    *,
    num_classes: int,
    memory_size: int | None = None,
    k: int = 30,
    temperature: float = 0.02,
    void: Void = 'background',
    ignored: Sequence[int] = (),
    storage: Storage = 'float32',
    bootstrap: int = 0,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> dict[str, float]:
    """The whole protocol on features that are at hand.

    Args:
        bank_features: (h, w, C) patch features by labelled image.
        bank_maps: (H, W) their label maps, H and W multiples of h and w; 255 is void.
        features: The same of the images that are predicted.
        maps: Their true maps.
        num_classes: Number of classes, at most 255.
        memory_size: Patches of the memory, the same number from every image; None: all.
        k: Neighbours.
        temperature: Of the softmax over their cosines.
        void: What void pixels of the bank are, see :func:`remember`.
        ignored: Classes that are not scored, see :func:`score_maps`.
        storage: Type the memory is held in, see :func:`mmdssl.evaluation.patch_memory.rounding`.
        bootstrap: Sets of images drawn for the interval of ``miou``, 0 for none.
        seed: Of the memory's draws and of these.
        device: Where to search; None: a GPU where there is one.

    Returns:
        ``miou``, ``miou_hungarian`` and ``accuracy`` in percent (see :func:`score_maps`),
        ``num_memory`` patches, ``num_images`` predicted, ``num_classes``.

    Raises:
        ValueError: If features, maps and settings do not fit.
    """
    check_images(bank_features, bank_maps, num_classes=num_classes, side='bank', ignored=ignored)
    check_images(features, maps, num_classes=num_classes, side='queries')
    keep = patches_per_image(memory_size, len(bank_maps))
    kept = [
        remember(
            one,
            map_,
            num_classes=num_classes,
            keep=keep,
            draws=memory_draws(seed, number, int(np.prod(np.shape(one)[:2]))),
            void=void,
            storage=storage,
        )
        for number, (one, map_) in enumerate(zip(bank_features, bank_maps, strict=True))
    ]
    pixels = pixels_per_patch(bank_features, bank_maps)
    memory = PatchMemory.of(kept, pixels=pixels, size=memory_size)
    predictions = predict_maps(
        features,
        [map_.shape for map_ in maps],
        memory,
        k=k,
        temperature=temperature,
        device=device,
    )
    scores, _ = score_maps(
        predictions, maps, num_classes=num_classes, ignored=ignored, bootstrap=bootstrap, seed=seed
    )
    return scores | dict(num_memory=len(memory), num_images=len(maps), num_classes=num_classes)
