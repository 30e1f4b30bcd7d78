"""From uint8 views to normalised views with colours changed, in one batch on the device."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmdssl.models.data_preprocessors.colour_augment import AUG_ORDERS, augment_colours
from mmdssl.models.data_preprocessors.colour_ops import normalize_, to_float
from mmdssl.models.data_preprocessors.colour_policy import ColourDraws, ColourPolicy
from mmdssl.models.data_preprocessors.gaussian_blur import blur_radius
from mmdssl.models.utils.host_copies import HOST, HostCopies
from mmdssl.registry import MODELS

__all__ = ['MultiViewPreprocessor']


@MODELS.register_module()
class MultiViewPreprocessor(BaseDataPreprocessor):
    """Moves a batch to the device, changes the colours of its views and normalises them.

    Each sample of each view gets parameters of its own, drawn from torch's CPU generator, so a
    seed gives the same views on every device. In evaluation, or given one image tensor, images
    are only converted and normalised. Colours are always computed in float32, whatever autocast
    says; the result is float32.

    Args:
        policies: Colour policy of each view, in view order: a dict with any of the keys
            ``jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, prob=0.8)``,
            ``grayscale=0.2``, ``blur=dict(prob=1.0, sigma=(0.1, 2.0))`` and
            ``solarize=dict(prob=0.2, threshold=0.5)`` (see
            :meth:`ColourPolicy.from_config`); ``dict()`` changes nothing. None normalises any
            number of views without changing colours.
        num_views: How often each policy is repeated, e.g. ``[1, 1, 8]`` for eight local crops of
            one policy; None means once each.
        mean: Mean of R, G, B in pixel values 0..255 (default: ImageNet), or of as many channels as
            the images have. Where these are not three, hue, saturation, grayscale and solarize,
            which have no meaning then, are left out of the policies, and the log says so.
        std: Standard deviation of R, G, B (or these channels) in pixel values 0..255 (default:
            ImageNet).
        aug_order: 'ibot_d' blurs before the jitter, as the published iBOT-D code does; 'ibot'
            blurs after grayscale, as the original iBOT does.
        keep_raw: Also return the uncoloured views as ``inputs['raw']``, :meth:`recolor` as
            ``inputs['recolor']`` and :meth:`normalise` as ``inputs['normalise']``, for branches
            that draw colours anew or want none.
        student_size: Side in pixels, or (h, w), to which larger training views are shrunk (bicubic,
            antialiased) before colours change; ``raw`` keeps them as they came, for a teacher that
            sees more. None: views stay as they are.
        erase_key: Key of ``inputs`` with one mask per view, (N, H, W) bool or uint8: where it is
            not 0, pixels are set to exactly 0, the mean colour, once a view is normalised (cutout
            in training; evaluation, ``raw`` and ``recolor`` are not erased). None erases nothing.
        channels_last: Return images in the channels-last memory format, which convolutional
            networks prefer.
        non_blocking: Let copies from pinned memory overlap with computation.

    Raises:
        ValueError: If a policy, ``num_views``, ``mean``, ``std`` or ``aug_order`` is unusable.
    """

    def __init__(
        self,
        *,
        policies: Sequence[Mapping[str, Any]] | None = None,
        num_views: Sequence[int] | None = None,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        aug_order: str = 'ibot_d',
        keep_raw: bool = False,
        student_size: int | tuple[int, int] | None = None,
        erase_key: str | None = None,
        channels_last: bool = False,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        if aug_order not in AUG_ORDERS:
            raise ValueError(f'aug_order is one of {list(AUG_ORDERS)}, got {aug_order!r}')
        _check_statistics(mean, std)
        self.aug_order = aug_order
        self.keep_raw = keep_raw
        side = student_size
        self.student_size = (side, side) if isinstance(side, int) else side and tuple(side)
        self.erase_key = erase_key
        self.channels_last = channels_last
        self.policies = None if policies is None else _expand(policies, num_views)
        if self.policies is not None and len(mean) != 3:
            self.policies = _without_hues(self.policies, len(mean))
        # One kernel size for all views: a sample's blur does not depend on its neighbours.
        self._radius = max(
            (blur_radius(policy.sigma[1]) for policy in self.policies or () if policy.blur_prob),
            default=1,
        )
        #: Mean and standard deviation of the channels, 0..255, that images are normalised by.
        self.mean, self.std = tuple(mean), tuple(std)
        # In units of [0, 1]. Not buffers: `model.half()` would round them.
        self._mean = tuple(value / 255 for value in mean)
        self._std = tuple(value / 255 for value in std)
        self._statistics: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def forward(self, data: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepares a batch of mmengine's ``default_collate``.

        Args:
            data: ``inputs`` is either a dict with ``views``, a list of (N, 3, H, W) images, and
                any other keys (masks, ...), or one (N, 3, H, W) tensor; images are uint8 RGB or
                floating point in [0, 1], of another number of channels where ``mean`` has it.
                Other keys (``data_samples``, ...) are free.
            training: Whether to change colours.

        Returns:
            The same structure on the device, images float32 and normalised; ``data_samples`` is
            None if absent. With ``keep_raw``, training ``inputs`` also hold ``raw``,
            ``recolor`` and ``normalise``. Everything else is as it came.

        Raises:
            TypeError: If ``inputs`` are of neither form.
            ValueError: If the number of views differs from the configured one, a view is not
                (N, 3, H, W), or the masks under ``erase_key`` do not fit the views.
        """
        moved = self.to_device(data) if training else self.cast_data(data)
        batch: Any = {'data_samples': None, **moved}
        inputs = batch['inputs']
        if isinstance(inputs, Tensor):
            return {**batch, 'inputs': self.normalise(inputs)}
        if not isinstance(inputs, Mapping) or 'views' not in inputs:
            raise TypeError(
                "inputs are a dict with 'views' or one (N, 3, H, W) tensor, got "
                f'{type(inputs).__name__}: end the pipeline with PackViews and set '
                "collate_fn=dict(type='default_collate') in the dataloader"
            )
        given = list(inputs['views'])
        views = [self._shrink(view) for view in given] if training else given
        if not training or self.policies is None:
            coloured = [self.normalise(view) for view in views]
        else:
            if len(views) != len(self.policies):
                raise ValueError(
                    f'the batch has {len(views)} views, but MultiViewPreprocessor has colour '
                    f'policies for {len(self.policies)}: make `views` (and `num_views`) agree '
                    'with MultiViewWithBoxes'
                )
            coloured = self._colour(views, self.policies)
        if training and self.erase_key is not None:
            _erase_(coloured, inputs.get(self.erase_key), self.erase_key)
        inputs = {**inputs, 'views': coloured}
        if training and self.keep_raw:
            inputs.update(raw=given, recolor=self.recolor, normalise=self.normalise)
        return {**batch, 'inputs': inputs}

    def to_device(self, data: Mapping[str, Any]) -> Any:
        """A training batch on the device, as it came otherwise.

        What leaves the host is also kept there as ``inputs['host']``, see :class:`HostCopies`.
        A batch that is on the device already stays as it is.
        """
        inputs = data['inputs']
        if self.device.type != 'cpu' and isinstance(inputs, Mapping):
            data = {**data, 'inputs': {HOST: HostCopies(inputs), **inputs}}
        return self.cast_data(data)

    def recolor(self, raw: Tensor, view: int) -> Tensor:
        """Draws new colours for some samples.

        Args:
            raw: (n, 3, H, W) images as in ``inputs['raw']``.
            view: Index of the view whose policy is used.

        Returns:
            (n, 3, H, W) float32, coloured and normalised, in the size that the student sees.

        Raises:
            ValueError: If there is no such view.
        """
        raw = self._shrink(raw)
        if self.policies is None:
            return self.normalise(raw)
        if not 0 <= view < len(self.policies):
            raise ValueError(
                f'view is from 0 to {len(self.policies) - 1}, the views of '
                f'MultiViewPreprocessor, got {view}'
            )
        return self._colour([raw], [self.policies[view]])[0]

    def _shrink(self, images: Tensor) -> Tensor:
        """Images that are larger than the student's size, in that size: float32 in [0, 1]."""
        size = self.student_size
        if size is None or images.ndim != 4 or images.shape[2] <= size[0]:
            return images
        small = F.interpolate(
            to_float(images), size, mode='bicubic', align_corners=False, antialias=True
        )
        return small.clamp_(0, 1)

    def _colour(self, views: Sequence[Tensor], policies: Sequence[ColourPolicy]) -> list[Tensor]:
        for view in views:
            self._check_images(view)
        draws = [policy.draw(len(view)) for policy, view in zip(policies, views, strict=True)]
        # An accelerator is kept busy by few large operations, a CPU by what fits its cache.
        if self.device.type == 'cpu':
            return [self._augment(*one) for one in zip(views, draws, strict=True)]
        return self._colour_together(views, draws)

    def _colour_together(
        self, views: Sequence[Tensor], draws: Sequence[ColourDraws]
    ) -> list[Tensor]:
        """Views of equal size and type as one batch."""
        alike: dict[Any, list[int]] = {}
        for index, view in enumerate(views):
            alike.setdefault((view.shape[2:], view.dtype), []).append(index)
        done: dict[int, Tensor] = {}
        for indices in alike.values():
            images = torch.cat([views[i] for i in indices])
            joined = ColourDraws.cat([draws[i] for i in indices])
            parts = self._augment(images, joined).split([len(views[i]) for i in indices])
            done.update(zip(indices, parts, strict=True))
        return [done[index] for index in range(len(views))]

    def _augment(self, images: Tensor, draws: ColourDraws) -> Tensor:
        mean, std = self._statistics_on(images.device)
        return augment_colours(
            images,
            draws,
            mean=mean,
            std=std,
            aug_order=self.aug_order,
            radius=self._radius,
            channels_last=self.channels_last,
        )

    def normalise(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), uint8 or in [0, 1], as float32 and normalised, nothing else."""
        self._check_images(images)
        images = normalize_(to_float(images), *self._statistics_on(images.device))
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return images

    def _check_images(self, images: Tensor) -> None:
        channels = len(self.mean)
        if images.ndim != 4 or images.shape[1] != channels:
            raise ValueError(
                f'images are (N, {channels}, H, W), got a tensor of shape {tuple(images.shape)}: '
                + (
                    'check PackViews and collate_fn of the dataloader'
                    if images.ndim != 4 or channels == 3 == images.shape[3]
                    else f'mean and std of the data_preprocessor have {channels} values'
                )
            )

    def _statistics_on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and std on a device, copied there once: a copy each step would wait for it."""
        if device not in self._statistics:
            mean, std = (
                torch.tensor(values, dtype=torch.float32, device=device)
                for values in (self._mean, self._std)
            )
            self._statistics[device] = (mean, std)
        return self._statistics[device]


def _expand(
    policies: Sequence[Mapping[str, Any]], num_views: Sequence[int] | None
) -> list[ColourPolicy]:
    """One policy a view."""
    if isinstance(policies, Mapping) or not policies:
        raise ValueError(f'policies is a list with one dict a view, got {policies!r}')
    counts = [1] * len(policies) if num_views is None else list(num_views)
    if len(counts) != len(policies) or not all(isinstance(n, int) and n > 0 for n in counts):
        raise ValueError(
            f'num_views has one positive number for each of the {len(policies)} policies, '
            f'got {num_views!r}'
        )
    read = [ColourPolicy.from_config(one, f'policies[{i}]') for i, one in enumerate(policies)]
    return [policy for policy, n in zip(read, counts, strict=True) for _ in range(n)]


def _erase_(views: Sequence[Tensor], masks: Sequence[Tensor] | None, key: str) -> None:
    """Sets masked pixels of new images to 0."""
    remedy = (
        f'give every view of MultiViewWithBoxes or CommonBoxViews a mask {key!r} of image '
        f'resolution (EmptyMask where nothing is erased) and pack it: PackViews(keys=({key!r},))'
    )
    if masks is None or len(masks) != len(views):
        found = 'none' if masks is None else str(len(masks))
        raise ValueError(f'the batch has {len(views)} views, but masks to erase: {found}; {remedy}')
    for view, mask in zip(views, masks, strict=True):
        if mask.shape != (len(view), *view.shape[2:]):
            raise ValueError(
                f'a view of shape {tuple(view.shape)} has a mask to erase of shape '
                f'{tuple(mask.shape)}, not (N, H, W); {remedy}'
            )
        view.masked_fill_(mask[:, None].bool(), 0.0)  # (N, 1, H, W), all channels


def _without_hues(policies: Sequence[ColourPolicy], channels: int) -> list[ColourPolicy]:
    """What of policies has a meaning for so many channels, said once."""
    reduced = [policy.without_hues() for policy in policies]
    if reduced != list(policies):
        print_log(
            f'colours of {channels} channels: brightness, contrast and blur are changed as the '
            'config says; hue, saturation, grayscale and solarize have no meaning for them and '
            'are left out',
            'current',
        )
    return reduced


def _check_statistics(mean: Sequence[float], std: Sequence[float]) -> None:
    if not len(mean) or len(mean) != len(std):
        raise ValueError(
            'mean and std have three values (R, G, B), or one for each channel of the images, got '
            f'{mean!r} and {std!r}'
        )
    if min(std) <= 1:
        raise ValueError(
            'mean and std are in pixel values 0..255 as in mmpretrain, got '
            f'std={std!r}: multiply both by 255'
        )
