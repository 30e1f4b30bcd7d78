"""Local semantic consistency: does a place look the same to the network without its surroundings?

"Mind Your Augmentation" (ICLR 2024), App. H.2: every crop of 5 x 5 patches of a 512 px image goes
through the network alone, and its pooled feature is compared with the feature of the same region
in the map of the whole image,

    LSC(i, j) = cos(E(crop_ij), region_ij(E(image))).

1 means that a region's feature owes nothing to what surrounds it. The paper leaves three things
open. Pooled: the mean of the crop's final map (``pool='patches'``), or its class token (``'cls'``).
Region: the mean of the map over exactly the crop's area, each cell by the share of it inside
(``region='cells'``; on the patch grid of a transformer the mean of the 5 x 5 tokens), or RoIAlign
(``'roi_align'``). Border: crops lie inside the image, so 32 x 32 patches give a 28 x 28 map.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdssl.evaluation.features import pool_boxes
from mmdssl.evaluation.gathering import GatheredMetric
from mmdssl.evaluation.guards import evaluating
from mmdssl.evaluation.layers import layer_maps
from mmdssl.registry import METRICS

__all__ = ['LocalSemanticConsistency', 'Pool', 'Region', 'local_consistency', 'step_of']

Pool = Literal['patches', 'cls']
Region = Literal['cells', 'roi_align']


def local_consistency(
    backbone: nn.Module,
    images: Float[Tensor, 'n ch h w'],
    *,
    patch: int | None = None,
    crop: int = 5,
    pool: Pool = 'patches',
    region: Region = 'cells',
    layer: str = 'last',
    chunk: int = 112,
    amp: bool = False,
) -> Float[Tensor, 'n i j']:
    """LSC maps of a frozen backbone, in eval mode without gradients.

    All crops of all images are windows of one strided view, copied and forwarded ``chunk`` at a
    time; they are not resized, so a transformer resizes its position table. The cost is that of
    the crops' forward passes and of one of the whole images.

    Args:
        backbone: mmpretrain, torchvision or any other module of images.
        images: (N, ch, H, W) float, normalised; H and W multiples of ``patch``.
        patch: Step between crops in pixels; None: see :func:`step_of`. Any number will do for a
            CNN, whatever its stride.
        crop: Side of a crop in steps.
        pool: Feature of a crop: mean of its map, or class token (transformers of mmpretrain).
        region: How the whole image's map is read, see the module.
        layer: Where the maps are taken, see :mod:`mmdssl.evaluation.layers`.
        chunk: Crops in one forward pass, the bound of the memory.
        amp: Forward passes in bfloat16.

    Returns:
        (N, H / patch - crop + 1, W / patch - crop + 1) float32 cosines, on the images' device.

    Raises:
        ValueError: If an image is smaller than a crop or no multiple of ``patch``, a crop does
            not fit the backbone's own patches, an argument is none of its choices, or there is
            no class token to read.
    """
    patch = step_of(backbone) if patch is None else patch
    _check(backbone, images, patch=patch, crop=crop, pool=pool, region=region, layer=layer)
    if chunk < 1:
        raise ValueError(f'chunk={chunk} must be at least 1 crop')
    side = crop * patch
    windows = images.unfold(2, side, patch).unfold(3, side, patch)  # (N, ch, I, J, side, side)
    windows = windows.permute(0, 2, 3, 1, 4, 5)  # still a view
    grid = windows.shape[:3]
    places = torch.cartesian_prod(*(torch.arange(n, device=images.device) for n in grid))
    autocast = torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=amp)
    with evaluating(backbone), autocast:
        full = torch.cat([layer_maps(backbone, one[None], [layer])[layer] for one in images])
        context = _regions(full, images.shape[-2:], grid[1:], patch=patch, side=side, rule=region)
        local = []
        with _class_token_output(backbone, wanted=pool == 'cls'):
            for part in places.split(chunk):
                crops = windows[part[:, 0], part[:, 1], part[:, 2]]  # (n, ch, side, side)
                local.append(_pooled(backbone, crops, layer, pool))
    cosines = F.cosine_similarity(torch.cat(local), context, dim=1)
    return cosines.reshape(grid)


def step_of(backbone: nn.Module) -> int:
    """Step between crops that suits a backbone: the patch of a plain vision transformer, or 16."""
    if hasattr(backbone, 'wrapped'):  # an adapter to another library
        return int(getattr(backbone, 'patch_size', None) or 16)
    projection = getattr(getattr(backbone, 'patch_embed', None), 'projection', None)
    if isinstance(projection, nn.Conv2d) and hasattr(backbone, 'cls_token'):
        return int(projection.stride[0])
    return 16


def _check(
    backbone: nn.Module,
    images: Float[Tensor, 'n ch h w'],
    *,
    patch: int,
    crop: int,
    pool: str,
    region: str,
    layer: str,
) -> None:
    height, width = images.shape[-2:]
    if patch < 1 or crop < 1:
        raise ValueError(f'patch={patch} and crop={crop} must be at least 1')
    if min(height, width) < crop * patch:
        raise ValueError(
            f'images of {height} x {width} px are smaller than a crop of {crop} x {crop} patches '
            f'of {patch} px ({crop * patch} px): use larger images or a smaller crop'
        )
    if height % patch or width % patch:
        raise ValueError(
            f'images of {height} x {width} px are no multiples of patch={patch}: resize them, the '
            'paper to 512 px'
        )
    for name, value, choices in (('pool', pool, Pool), ('region', region, Region)):
        if value not in get_args(choices):
            raise ValueError(f'{name}={value!r} must be one of {get_args(choices)}')
    own = getattr(getattr(backbone, 'patch_embed', None), 'projection', None)
    if isinstance(own, nn.Conv2d) and crop * patch % own.stride[0]:
        raise ValueError(
            f'a crop of {crop * patch} px holds no whole number of the patches of '
            f'{own.stride[0]} px of {type(backbone).__name__}: set patch={own.stride[0]}'
        )
    if pool == 'cls' and layer != 'last':
        raise ValueError(f"pool='cls' reads the final class token: set layer='last', not {layer!r}")


@contextmanager
def _class_token_output(backbone: nn.Module, *, wanted: bool) -> Iterator[None]:
    """Let a transformer of mmpretrain return its class token inside."""
    if not wanted:
        yield
        return
    kind = getattr(backbone, 'out_type', None)
    if kind is None or getattr(backbone, 'cls_token', None) is None:
        raise ValueError(
            f"{type(backbone).__name__} has no class token to read: use pool='patches'"
        )
    settings: Any = backbone  # nn.Module types its attributes as tensors and modules
    settings.out_type = 'cls_token'
    try:
        yield
    finally:
        settings.out_type = kind


def _pooled(
    backbone: nn.Module, crops: Float[Tensor, 'n ch s s'], layer: str, pool: Pool
) -> Float[Tensor, 'n c']:
    """(n, 3, s, s) to (n, C) float32."""
    if pool == 'patches':
        return layer_maps(backbone, crops, [layer])[layer].mean(dim=(2, 3))
    output = backbone(crops)
    return (output[-1] if isinstance(output, (tuple, list)) else output).float()


def _regions(
    maps: Float[Tensor, 'n c h w'],
    image_size: Sequence[int],
    grid: Sequence[int],
    *,
    patch: int,
    side: int,
    rule: Region,
) -> Float[Tensor, 'nij c']:
    """Feature of each crop's area in the maps (N, C, h, w): (N * I * J, C), row-major."""
    if rule == 'roi_align':
        corners = [torch.arange(n, device=maps.device) * patch for n in grid]
        top_left = torch.cartesian_prod(*corners).flip(1)  # (I * J, 2) x, y
        boxes = torch.cat([top_left, top_left + side], dim=1).float()
        return pool_boxes(maps, [boxes] * len(maps), image_size)
    down, across = (
        _shares(n, cells, size, patch=patch, side=side).to(maps)
        for n, cells, size in zip(grid, maps.shape[-2:], image_size, strict=True)
    )
    means = torch.einsum('nchw,ih,jw->nijc', maps, down, across)
    return means.flatten(0, 2)


def _shares(
    count: int, cells: int, size: int, *, patch: int, side: int
) -> Float[Tensor, '{count} {cells}']:
    """Along one axis: which share of crop i lies on cell k, (count, cells); rows sum to 1."""
    start = torch.arange(count)[:, None] * patch  # pixels
    edge = torch.arange(cells)[None] * (size / cells)
    overlap = (start + side).minimum(edge + size / cells) - start.maximum(edge)
    return overlap.clamp(min=0) / side


@METRICS.register_module()
class LocalSemanticConsistency(GatheredMetric):
    """Mean of the LSC maps over a set of images.

    Reads ``local_consistency`` (I, J) of every sample, as :class:`ConsistencyExtractor` gives it.

    Reports ``mean`` (over all places), ``std`` (of the images' means, how much images differ),
    ``std_within`` (mean over images of the deviation over places) and ``num_images``. The maps of
    the last evaluation stay in ``maps``, by position in the data set, on the main process.

    Args:
        maps_file: ``.npz`` that keeps the maps ('0', '1', ...); None: no file.
        prefix: Of the reported names.

    Raises:
        ValueError: On evaluation without a single image.
    """

    default_prefix = 'lsc'

    def __init__(
        self,
        *,
        maps_file: str | Path | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        self.maps_file = maps_file
        self.maps: list[np.ndarray] = []

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the maps, one item per image."""
        self.results += [sample['local_consistency'].cpu().numpy() for sample in data_samples]

    def compute_metrics(self, results: list[Float[np.ndarray, 'i j']]) -> dict[str, float]:
        """Mean and deviations; on the main process only."""
        if not results:
            raise ValueError(f'{self.prefix} got no image: check the evaluation data')
        self.maps = list(results)
        if self.maps_file is not None:
            path = Path(self.maps_file)
            path.parent.mkdir(parents=True, exist_ok=True)
            named: Any = {str(i): one for i, one in enumerate(results)}
            np.savez_compressed(path, **named)
        means = np.array([one.mean(dtype=np.float64) for one in results])
        places = np.array([one.size for one in results])
        return dict(
            mean=float((means * places).sum() / places.sum()),
            std=float(means.std()),
            std_within=float(np.mean([one.std(dtype=np.float64) for one in results])),
            num_images=len(results),
        )
