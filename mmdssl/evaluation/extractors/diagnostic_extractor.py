"""Features of chosen regions at chosen layers, for images that come in several views.

Coupling, position bias and background sensitivity all compare regions between views of one
sample (alone and beside another object, in another cell, on another background). So there is one
way through the net for all of them: views in, one vector per layer, view and region out.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmdssl.evaluation.extractors.frozen_backbone import FrozenBackbone
from mmdssl.evaluation.features import pool_boxes
from mmdssl.evaluation.guards import evaluating
from mmdssl.evaluation.layers import layer_maps
from mmdssl.registry import MODELS

__all__ = ['DiagnosticExtractor', 'masked_tokens', 'pool_weights']


@MODELS.register_module()
class DiagnosticExtractor(FrozenBackbone):
    """Frozen backbone for the region measures, usable with mmengine's ``Runner.test``.

    Every sample has V views and, in each of them, P regions (P may differ between samples), given
    in its data sample as one of

    - ``diagnostic_boxes`` (V, P, 4) float, x1 y1 x2 y2 in pixels: RoIAlign (aligned), mean;
    - ``diagnostic_weights`` (V, P, H, W) float or bool: average of the map, weighted by the mask
      downsampled to it by area;

    and, optional, ``token_mask`` (V, h, w) bool, True where a :class:`DenseViT` sees its mask
    token instead of the patch.

    The features ``diagnostic_features`` are a dict: layer -> (V, P, C) float32 on the CPU, not
    normalised.

    Args:
        backbone: Config or module; shared, not copied, if a module. Runs in eval mode without
            gradients and gets its training flags back.
        data_preprocessor: Config or module that normalises (N, 3, H, W) uint8 RGB; the default
            uses ImageNet's mean and standard deviation.
        layers: Names as in :mod:`mmdssl.evaluation.layers`.
        roi_size: Cells per side of RoIAlign.
        max_images: Views in one forward pass, the bound of the memory.
        precision: 'float32', or 'bfloat16' for a backbone under autocast: two thirds of the
            time on processors that have it; maps are pooled in float32 either way.

    Raises:
        ValueError: If ``layers`` is empty, ``max_images`` below 1 or ``precision`` unknown.
    """

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        data_preprocessor: dict | nn.Module | None = None,
        layers: Sequence[str] = ('last',),
        roi_size: int = 7,
        max_images: int = 32,
        precision: Literal['float32', 'bfloat16'] = 'float32',
    ) -> None:
        super().__init__(backbone=backbone, data_preprocessor=data_preprocessor)
        if not layers or isinstance(layers, str):
            raise ValueError(f"layers={layers!r} must be a list of names such as ['last']")
        if max_images < 1:
            raise ValueError(f'max_images={max_images} must be at least 1')
        if precision not in ('float32', 'bfloat16'):
            raise ValueError(f"precision={precision!r} must be 'float32' or 'bfloat16'")
        self.layers = tuple(layers)
        self.roi_size = roi_size
        self.max_images = max_images
        self.precision = precision

    def test_step(self, data: dict[str, Any]) -> list[BaseDataElement]:
        """Features of a batch of ``default_collate``; normalisation happens within."""
        return self(data['inputs'], data['data_samples'], mode='predict')

    val_step = test_step

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = 'predict',
    ) -> list[BaseDataElement]:
        """Add ``diagnostic_features`` to the samples.

        Args:
            inputs: (N, V, 3, H, W) uint8 RGB, not normalised; or N tensors (V, 3, H, W); of as many
                channels as the preprocessor has means.
            data_samples: N samples with regions, see the class.
            mode: Only 'predict'.

        Returns:
            The samples.

        Raises:
            ValueError: For another mode, missing samples, or regions that do not fit the views.
        """
        if mode != 'predict' or data_samples is None:
            raise ValueError(
                f"DiagnosticExtractor does not train: mode={mode!r} must be 'predict' with "
                'data_samples'
            )
        if not isinstance(inputs, Tensor):
            inputs = torch.stack(list(inputs))
        mean = getattr(self.data_preprocessor, 'mean', None)
        channels = 3 if mean is None else len(mean)
        if inputs.ndim != 5 or inputs.shape[2] != channels or len(inputs) != len(data_samples):
            raise ValueError(
                f'inputs are (N, V, {channels}, H, W) with a data sample each, got '
                f'{tuple(inputs.shape)} and {len(data_samples)} samples'
            )
        views = inputs.shape[1]
        key = 'diagnostic_boxes' if 'diagnostic_boxes' in data_samples[0] else 'diagnostic_weights'
        regions = _gather(data_samples, key, views)
        masks = (
            _gather(data_samples, 'token_mask', views) if 'token_mask' in data_samples[0] else []
        )
        images = inputs.flatten(0, 1)  # (N*V, 3, H, W)
        pooled: dict[str, list[Tensor]] = {name: [] for name in self.layers}
        with evaluating(self.backbone):
            for start in range(0, len(images), self.max_images):
                part = slice(start, start + self.max_images)
                batch = self.data_preprocessor({'inputs': images[part]}, False)['inputs']
                with masked_tokens(self.backbone, masks[part]), self._autocast(batch):
                    maps = layer_maps(self.backbone, batch, self.layers)
                for name, features in maps.items():
                    pooled[name].append(self._pool(features, regions[part], batch, key).cpu())
        # A sample's rows are its views in order, P regions each.
        shapes = [(views, len(regions[n * views])) for n in range(len(data_samples))]
        sizes = [v * p for v, p in shapes]
        rows = {name: torch.cat(parts).split(sizes) for name, parts in pooled.items()}
        for n, (sample, shape) in enumerate(zip(data_samples, shapes, strict=True)):
            # A copy each: slices would keep, and pickle, the whole batch.
            own = {name: rows[name][n].clone().unflatten(0, shape) for name in self.layers}
            sample.set_field(own, 'diagnostic_features', dtype=dict)
        return list(data_samples)

    def _autocast(self, images: Tensor) -> torch.autocast:
        # Not merely left out for float32: a caller's autocast would reach in.
        lower = self.precision == 'bfloat16'
        return torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=lower)

    def _pool(
        self, features: Tensor, regions: Sequence[Tensor], images: Tensor, key: str
    ) -> Tensor:
        """(n, C, h, w) and n sets of P regions to (n*P, C)."""
        if key == 'diagnostic_boxes':
            return pool_boxes(features, regions, images.shape[-2:], roi_size=self.roi_size)
        return torch.cat(
            [pool_weights(one, weights) for one, weights in zip(features, regions, strict=True)]
        )


def pool_weights(features: Tensor, weights: Tensor) -> Tensor:
    """Masked average pooling: each cell counts by the share of it that the mask covers.

    Args:
        features: (C, h, w) float32.
        weights: (P, H, W) bool or float >= 0, at least as fine as the map.

    Returns:
        (P, C) float32.

    Raises:
        ValueError: If a region is empty.
    """
    weights = weights.to(features)
    height, width = features.shape[-2:]
    cells = F.adaptive_avg_pool2d(weights, (height, width))  # (P, h, w)
    total = cells.sum(dim=(1, 2))
    if (total <= 0).any():
        raise ValueError('a region of diagnostic_weights is empty: it covers no pixel')
    return cells.flatten(1) @ features.flatten(1).T / total[:, None]


@contextmanager
def masked_tokens(backbone: nn.Module, masks: Sequence[Tensor]) -> Iterator[None]:
    """Inside, masked patches of the images carry the mask token of a :class:`DenseViT`.

    Same as ``backbone.embed(images, mask=...)``, but for passes that go through ``forward``.

    Args:
        backbone: With ``patch_embed`` and ``mask_token``.
        masks: For each image of the next pass (h, w) bool; none at all changes nothing.

    Raises:
        ValueError: If the backbone has no mask token, or the masks are not of its patch grid.
    """
    if not len(masks):
        yield
        return
    token = getattr(backbone, 'mask_token', None)
    if token is None:
        raise ValueError(
            f'{type(backbone).__name__} has no mask token: remove patches as black pixels '
            "(mask_fill='black') or use DenseViT(with_mask_token=True)"
        )
    mask = torch.stack(list(masks)).to(token.device)  # (N, h, w)

    def replace(_: nn.Module, inputs: tuple, output: tuple) -> tuple:
        patches, grid = output  # (N, h*w, C)
        if tuple(grid) != tuple(mask.shape[1:]):
            raise ValueError(
                f'token_mask of {tuple(mask.shape[1:])} cells for a patch grid of {tuple(grid)}: '
                "set the diagnostic's patch_size to the backbone's"
            )
        flat = mask.flatten(1)[..., None]  # (N, h*w, 1)
        return torch.where(flat, token.to(patches.dtype), patches), grid

    handle = backbone.get_submodule('patch_embed').register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def _gather(samples: Sequence[BaseDataElement], key: str, views: int) -> list[Tensor]:
    """The entries of all views of all samples, N*V tensors."""
    entries: list[Tensor] = []
    for sample in samples:
        value = sample.get(key)
        if value is None or len(value) != views:
            found = 'none' if value is None else f'{len(value)}'
            raise ValueError(
                f'{views} views need diagnostic_boxes or diagnostic_weights (and token_mask in all '
                f'samples or in none) with one entry a view; {key} has {found}'
            )
        entries.extend(torch.as_tensor(value).unbind())
    return entries
