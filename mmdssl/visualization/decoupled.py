"""X^D, as the branch composes it: key view, partner image, mask, result.

Nothing here repeats the branch's rules. The branch itself composes, so a picture
shows what a run with this configuration trains on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmdssl.evaluation.guards import preserve_rng_state
from mmdssl.models.branches.decoupling import DecouplingBranch
from mmdssl.models.decoupled_views import mix_pixels
from mmdssl.visualization.figure import (
    COLOURS,
    Denormalise,
    as_image,
    overlay,
    picture_axes,
    save_figure,
    sheet,
)
from mmdssl.visualization.marks import Grid, boxes_of, draw_boxes, draw_grid, foreground_grid

__all__ = ['DecoupledSample', 'compose_decoupled', 'draw_decoupled']


@dataclass(frozen=True)
class DecoupledSample:
    """One X^D and what it was made of.

    Attributes:
        view: Index of the key view.
        image: Index in the batch of the key view's image.
        partner_view: View that the background is taken from.
        partner_image: Index in the batch of the background's image.
        mask: (h, w) bool, True = background, as used.
        complemented: Whether the mask is the inverse of the one the loader drew
            for this image (then the cut rectangles are kept). Not known, and
            False, where masks come from a pool.
        composed: (3, H, W) normalised X^D.
        grid: Foreground on the last feature map; None where the mask itself is on the grid of
            the features.
    """

    view: int
    image: int
    partner_view: int
    partner_image: int
    mask: Tensor
    complemented: bool
    composed: Tensor
    grid: Grid | None

    @property
    def keep(self) -> Tensor:
        """(H, W) bool, True = pixel of the key view."""
        ones = torch.ones(1, 1, *self.composed.shape[1:])
        kept = mix_pixels(ones, torch.zeros_like(ones), self.mask[None].cpu())
        return kept[0, 0] > 0


@torch.no_grad()
def compose_decoupled(
    branch: DecouplingBranch, inputs: dict, *, step: int = 0, stride: int = 32
) -> list[DecoupledSample]:
    """Every X^D the branch makes of a batch.

    Args:
        branch: The branch; its own code selects and mixes.
        inputs: The preprocessor's ``inputs`` in training.
        step: Iteration, which seeds the branch's random choices.
        stride: Of the network's last map, whose cells are shown.

    Returns:
        The samples, key view by key view.
    """
    views = branch.compose(inputs, step=step)
    images = views.images
    if views.mixing:
        # Patches do not overlap: mixing their embeddings is mixing pixels patch by patch.
        images = mix_pixels(images, views.mixing['background'], views.mixing['background_mask'])
    samples: list[DecoupledSample] = []
    for chosen in views.selections:
        drawn = inputs[branch.mask_key][chosen.view][chosen.index].bool()
        for j, image in enumerate(chosen.index.tolist()):
            inverted = branch.mask_source == 'fresh' and bool((chosen.masks[j] ^ drawn[j]).all())
            composed = images[len(samples)]
            samples.append(
                DecoupledSample(
                    view=chosen.view,
                    image=image,
                    partner_view=chosen.background_view,
                    partner_image=int(chosen.background_index[j]),
                    mask=chosen.masks[j],
                    complemented=inverted,
                    composed=composed,
                    grid=foreground_grid(
                        views.foreground,
                        len(samples),
                        (composed.shape[1], composed.shape[2]),
                        stride=stride,
                    ),
                )
            )
    return samples


def draw_decoupled(
    data: dict,
    data_preprocessor: nn.Module,
    path: str | Path,
    *,
    branch: DecouplingBranch,
    max_samples: int = 6,
    step: int = 0,
    stride: int = 32,
) -> Path:
    """Draw how X^D comes about: X, M on it, X_B, and X^D; a column per sample.

    A last row shows what the dense loss compares: the cells of the last feature map with their
    kept share in percent (masks at pixel resolution), or each box with its kept share (region
    hosts).

    Args:
        data: A collated batch, see :func:`mmdssl.visualization.views.draw_batch`.
        data_preprocessor: The model's.
        path: PNG to write.
        branch: The model's branch.
        max_samples: Most columns, evenly spaced over the samples of all key views,
            so that plain and complemented masks both appear.
        step: Iteration.
        stride: Of the network's last map, see :func:`compose_decoupled`.

    Returns:
        The path written.

    Raises:
        ValueError: If the branch makes no X^D of this batch (a pool of masks without
            non-empty ones).
    """
    with preserve_rng_state():
        inputs = data_preprocessor(data, training=True)['inputs']
        samples = compose_decoupled(branch, inputs, step=step, stride=stride)
    if not samples:
        raise ValueError('draw_decoupled: the branch made no X^D of this batch; give another one')
    denormalise = Denormalise(data_preprocessor)
    chosen = _spread(samples, max_samples)
    labels = [
        '$X$: key view',
        '$M$: tinted part\ngets replaced',
        '$X_B$: another\nimage',
        '$X^D$',
    ]
    regions = bool(inputs.get('boxes'))
    if regions or chosen[0].grid is not None:
        labels.append('kept share of\neach box' if regions else 'cells that take\npart, % kept')
    figure, axes = sheet(
        len(labels), len(chosen), width=1.1 + 1.25 * len(chosen), height=0.4 + 1.25 * len(labels)
    )
    for column, sample in enumerate(chosen):
        key = as_image(denormalise(inputs['views'][sample.view][sample.image]))
        other = inputs['views'][sample.partner_view][sample.partner_image]
        composed = as_image(denormalise(sample.composed))
        images = (
            key,
            overlay(key, sample.mask.cpu().numpy(), colour=COLOURS['blue'], strength=0.8),
            as_image(denormalise(other)),
            *[composed] * (len(labels) - 3),
        )
        for row, image in enumerate(images):
            picture_axes(axes[row, column]).imshow(image, interpolation='nearest')
        boxes = boxes_of(inputs, sample.view, sample.image, keep=sample.keep)
        if boxes is not None:
            draw_boxes(axes[-1, column], boxes)
        elif sample.grid is not None:
            draw_grid(axes[-1, column], sample.grid, composed.shape[:2], numbers=True)
        kind = 'complement' if sample.complemented else 'mask'
        axes[0, column].set_title(
            f'view {sample.view}, {kind}', loc='center', fontsize=8, fontweight='normal'
        )
    for row, label in enumerate(labels):
        axes[row, 0].set_ylabel(label, rotation=0, ha='right', va='center', labelpad=6)
    return save_figure(figure, path, dpi=150)


def _spread(samples: Sequence[DecoupledSample], count: int) -> list[DecoupledSample]:
    """At most ``count`` samples, evenly spaced, first and last included."""
    places = np.linspace(0, len(samples) - 1, num=min(count, len(samples)))
    return [samples[round(place)] for place in places]
