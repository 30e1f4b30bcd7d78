"""D3SSL: De-coupling and De-positioning Dense Self-supervised Learning.

Regions as in SoCo, contrast as in MoCo: student s and teacher t (its EMA) turn box i of a
view into a unit vector z (RoIAlign on C4, ``layer4``, average pool, MLP), and NCE compares
it with a queue of earlier region vectors (Sec. 4.2):

    x1^  = PRM o PRC (x1)       x1: the whole image, 224 px
    x2s^ = PRM o PRC (x2s)      x2s: x2, a crop of scale [0.4, 1], shrunk to 112 px
    x3   = boxes of x2, moved by one vector t and cut by PRC, on another image

    L_dc = NCE(z_s(x1^, b1), z_t(x2, b2)) + NCE(z_s(x2s^, b2), z_t(x1^, b1))     Eq. 4
    L_dp = NCE(z_s(x3, b2 + t), z_t(x2, b2)) + NCE(z_s(x3, b2 + t), z_t(x1^, b1))    Eq. 9
    L    = mean over boxes and images of  L_dc + L_dp                            Eq. 10

The student sees x1^, x2s^ and x3, the teacher x1^ and the plain x2 (Eq. 3; the paper's
introduction splits the views otherwise). There is no code of the authors, and the
supplement with the training details is not public. Chosen here for what is left open:

* K = 4 boxes an image, as SoCo C4; boxes from selective search with SoCo's filter.
* Queue of 65536, temperature 0.2, EMA momentum 0.999 throughout: MoCo v2.
* The queue takes the teacher's vectors of all boxes of both views, x1^ and x2.
* Projector 2048-2048-128 with ReLU (MoCo v2), no predictor, as the loss is InfoNCE.
* SGD 0.3 at batch 256, weight decay 1e-4, cosine, residual branches not started at zero:
  DenseCL's recipe for COCO.
* Colours as MoCo v2, for both views alike; x2s and x3 have those of x2.
* RoIAlign 14 before ``layer4``; 7 for the 112 px view, as SoCo has for its small view.
* The teacher's x1^ is erased by the same masks as the student's (Eq. 3 has one image).
* Each view's boxes are jittered (RBJ) on their own, before RoIAlign; PRC, PRM and the
  foreground of x3 follow the proposals themselves. Sizes and thresholds: see
  :mod:`mmdssl.datasets.transforms`, ``proposal_random_cutout``, ``proposal_random_mask``,
  ``restricted_box_jitter`` and ``shifted_foreground``.
* x2 is shrunk bilinearly, antialiased; behind x3 lies the x2 of another image of the batch.
* Every view passes a net in a batch of its own, as in SoCo, without MoCo's shuffling;
  several processes take SyncBN instead.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from mmengine import dist
from torch import Tensor, nn

from mmdssl.core.step_generator import BRANCH, step_generator
from mmdssl.models.algorithms.teacher_student import TeacherStudent
from mmdssl.models.losses.info_nce import info_nce
from mmdssl.models.utils.batch_negatives import (
    Negatives,
    check_negatives,
    check_other_images,
    keys_of_step,
)
from mmdssl.models.utils.composition import other_images, paste_shifted
from mmdssl.models.utils.host_copies import HostCopies, move
from mmdssl.models.utils.queue import KeyQueue
from mmdssl.models.utils.region_features import c4_map, region_vectors, scaled_boxes
from mmdssl.registry import MODELS

_HOW = dict.fromkeys(('paste', 'shift'), 'add ShiftedForeground to view 2 and pack its keys')
_HOW['erase_small'] = (
    "add ProposalRandomCutout and ProposalRandomMask(key='erase_small', mask_size=112) to view 2 "
    'and pack the key'
)
_NO_BRANCH = (
    'D3SSL de-couples by its own views and takes no DecouplingBranch; leave decoupling=None and '
    'the branch out of branches'
)


class D3SSLViews(NamedTuple):
    """The images of a step, and the K boxes of each; rows of all boxes belong together.

    Attributes:
        first: x1^ (N, 3, H, W).
        second: x2 (N, 3, H, W).
        small: x2s^ (N, 3, h, w), None without the de-coupling loss.
        composed: x3 (N, 3, H, W), None without the de-positioning loss.
        boxes: (N, K, 4) for each of the four by name, x1 y1 x2 y2 in pixels.
        background: (N,) int64, the image behind x3; None without it.
    """

    first: Tensor
    second: Tensor
    small: Tensor | None
    composed: Tensor | None
    boxes: dict[str, Tensor]
    background: Tensor | None


@MODELS.register_module()
class D3SSL(TeacherStudent):
    """D3SSL (see the module docstring for equations and for what the paper leaves open).

    Args:
        backbone: mmpretrain ``ResNet``; ``layer4`` serves as the head of the regions.
        neck: Projector of region vectors: mmpretrain's ``MoCoV2Neck`` with
            ``with_avg_pool=False``.
        with_decoupling_loss: L_dc; False leaves out x2s^ and the student's pass on x1^.
        with_depositioning_loss: L_dp; False leaves out x3 and its pass.
        temperature: tau of NCE.
        negatives: ``'queue'``: keys of earlier batches (the paper); ``'batch'``: those of both
            views of the other images of the step, on all processes, for short runs, see
            :class:`DenseCL`.
        queue_length: Keys held; :meth:`check_data` shortens it to what data and batch allow.
        num_boxes: K, boxes per view, as in ``CommonBoxViews``.
        small_size: Side of x2s in pixels, or (h, w).
        roi_size: Cells per side that RoIAlign cuts out of C4; ``layer4`` halves them.
        small_roi_size: The same for x2s.
        background: Image behind x3: ``'roll'``, all images of the batch in turn, moved by a
            random number of places, or ``'random'``, each drawn on its own; never the image
            itself.
        momentum: EMA momentum (start, end).
        decoupling: Must be None: D3SSL de-couples by its own views.
        branches: Further branches, see :class:`BaseDenseSSL`.
        init: Checkpoint of the backbone to start from, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`, which sets the pixels of
            ``inputs['erase']`` to 0.
        init_cfg: mmengine initialisation.

    The batch, for views x1 and x2: ``inputs['views']``, two (N, 3, H, W), x1 erased and x2
    not; ``inputs['boxes']``, two (N, K, 4) float32, x1 y1 x2 y2 in pixels;
    ``inputs['box_ids']``, two (N, K) int64, equal for boxes of one proposal, in any order.
    Of x2 alone: ``inputs['erase_small']``, one (N, h, w) bool, True = 0 in x2s^;
    ``inputs['paste']``, one (N, H, W) bool, True = foreground of x3; ``inputs['shift']``,
    one (N, 2) int64, the pixels (x, y) it moved by.

    Raises:
        ValueError: For settings out of range, a ``decoupling``, or no loss at all.
    """

    evaluated_backbone = 'student'
    update_offset = 1
    requires_drop_last = True

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        with_decoupling_loss: bool = True,
        with_depositioning_loss: bool = True,
        temperature: float = 0.2,
        negatives: Negatives = 'queue',
        queue_length: int = 65536,
        num_boxes: int = 4,
        small_size: int | tuple[int, int] = 112,
        roi_size: int = 14,
        small_roi_size: int = 7,
        background: Literal['roll', 'random'] = 'roll',
        momentum: tuple[float, float] = (0.999, 0.999),
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        init: str | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if decoupling is not None:
            raise ValueError(_NO_BRANCH)
        if not (with_decoupling_loss or with_depositioning_loss):
            raise ValueError(
                'D3SSL: with_decoupling_loss and with_depositioning_loss are both False, '
                'nothing is left to train; keep one'
            )
        if background not in ('roll', 'random'):
            raise ValueError(f"D3SSL: background is {background!r}, give 'roll' or 'random'")
        check_negatives('D3SSL', negatives)
        super().__init__(
            backbone=backbone,
            neck=neck,
            momentum=momentum,
            teacher_train_mode=True,
            branches=branches,
            init=init,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        if self.decoupling is not None:
            raise ValueError(_NO_BRANCH)
        self.with_decoupling_loss = with_decoupling_loss
        self.with_depositioning_loss = with_depositioning_loss
        self.temperature = temperature
        self.num_boxes = num_boxes
        self.small_size = (
            (small_size, small_size) if isinstance(small_size, int) else tuple(small_size)
        )
        self.roi_size = roi_size
        self.small_roi_size = small_roi_size
        self.background = background
        self.negatives = negatives
        self._step_keys: tuple[Tensor, Tensor] | None = None  # (D, K) and (M, J), of the batch
        if negatives == 'queue':
            self.queue = KeyQueue(dim=self.neck.mlp[-1].out_features, length=queue_length)

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a batch without another image for the background of x3."""
        super().check_batch_size(batch_size)
        if self.with_depositioning_loss and batch_size < 2:
            raise ValueError(
                f'D3SSL: a batch of {batch_size} image per process has no other image to paste '
                'onto; use at least 2, or with_depositioning_loss=False'
            )

    def check_data(self, *, batch_size: int, num_images: int) -> None:
        """Fit the queue to the data: K keys of two views of every image in an epoch."""
        super().check_data(batch_size=batch_size, num_images=num_images)
        keys = 2 * self.num_boxes
        images = batch_size * dist.get_world_size()
        if self.negatives == 'batch':
            check_other_images('D3SSL', images)
            return
        self.queue.fit(per_step=images * keys, available=num_images * keys)

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_decoupling``, ``loss_depositioning`` where switched on, and those of branches."""
        views = self.compose(inputs, step=self.clock.iteration)
        key_first = self._teach(views.first, views.boxes['first'])  # (N * K, D), z_t1
        key_second = self._teach(views.second, views.boxes['second'])  # z_t2
        if self.negatives == 'batch':
            self._step_keys = self._keys_of_step(key_first, key_second)
        losses = {}
        if views.small is not None:
            first = self._student(views.first, views.boxes['first'], self.roi_size)
            small = self._student(views.small, views.boxes['small'], self.small_roi_size)
            losses['loss_decoupling'] = self._nce(first, key_second) + self._nce(small, key_first)
        if views.composed is not None:
            moved = self._student(views.composed, views.boxes['composed'], self.roi_size)
            losses['loss_depositioning'] = self._nce(moved, key_second) + self._nce(
                moved, key_first
            )
        losses = self.with_branches(losses, inputs, {0: key_first, 1: key_second})
        if self.negatives == 'queue':  # last: every loss of a step sees the same negatives
            self.queue.enqueue(torch.cat([key_first, key_second]))
        return losses

    def dense_map(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """C4 (N, C, h, w), of which regions are cut out."""
        return c4_map(backbone, images)

    @torch.no_grad()
    def compose(self, inputs: dict, *, step: int = 0) -> D3SSLViews:
        """The images that the two nets see.

        Args:
            inputs: The batch of the preprocessor, see the class.
            step: Iteration, seeds the choice of backgrounds.

        Returns:
            x1^, x2, x2s^ and x3 with their boxes, all in the row order of x1's boxes.
        """
        first, second = self._of(inputs, 'views', 2)
        boxes_first, boxes_second = self._of(inputs, 'boxes', 2)
        if boxes_first.shape[1] != self.num_boxes:
            raise ValueError(
                f'D3SSL: the batch has {boxes_first.shape[1]} boxes per view, the model expects '
                f'num_boxes={self.num_boxes}; make it equal to that of CommonBoxViews'
            )
        ids = self._of(inputs, 'box_ids', 2)
        _check_ids(*HostCopies.of(inputs, 'box_ids'))
        boxes_second = _matched(boxes_second, *ids)
        boxes = dict(first=boxes_first, second=boxes_second)
        small = composed = partner = None
        if self.with_decoupling_loss:
            (erase,) = self._of(inputs, 'erase_small', 1)
            small, boxes['small'] = self._shrink(second, boxes_second, erase)
        if self.with_depositioning_loss:
            (paste,), (shift,) = self._of(inputs, 'paste', 1), self._of(inputs, 'shift', 1)
            self.check_batch_size(len(second))
            partner = other_images(
                len(second), background=self.background, generator=step_generator(step, BRANCH)
            )
            partner = move(partner, second.device)
            composed = paste_shifted(second, second[partner], mask=paste, shift=shift)
            boxes['composed'] = boxes_second + shift.repeat(1, 2)[:, None].to(boxes_second.dtype)
        return D3SSLViews(first, second, small, composed, boxes, partner)

    def _shrink(self, images: Tensor, boxes: Tensor, erase: Tensor) -> tuple[Tensor, Tensor]:
        """x2s^ and its boxes (N, K, 4)."""
        if erase.shape[1:] != self.small_size:
            raise ValueError(
                f"D3SSL: inputs['erase_small'] is {tuple(erase.shape[1:])} pixels, small_size is "
                f'{self.small_size}; set mask_size of its transforms to small_size'
            )
        small = F.interpolate(images, self.small_size, mode='bilinear', antialias=True)
        scale_y, scale_x = (
            new / old for new, old in zip(self.small_size, images.shape[2:], strict=True)
        )
        return small.masked_fill_(erase[:, None], 0.0), scaled_boxes(boxes, scale_x, scale_y)

    def _student(self, images: Tensor, boxes: Tensor, roi_size: int) -> Tensor:
        return self._regions(self, images, boxes, roi_size)

    @torch.no_grad()
    def _teach(self, images: Tensor, boxes: Tensor) -> Tensor:
        return self._regions(self.teacher, images, boxes, self.roi_size)

    @staticmethod
    def _regions(net: Any, images: Tensor, boxes: Tensor, roi_size: int) -> Tensor:
        """Unit vectors (N * K, D), image by image, of the host's own parts or the teacher's."""
        c4 = c4_map(net.backbone, images)
        size = images.shape[-2:]
        vectors = region_vectors(net.backbone, c4, boxes, image_size=size, output_size=roi_size)
        projected = net.neck((vectors,))[0]
        if projected.dtype != torch.float64:  # under autocast: lengths of vectors want float32
            projected = projected.float()
        return F.normalize(projected, dim=1)

    def _nce(self, query: Tensor, positive: Tensor) -> Tensor:
        """Mean InfoNCE of region vectors (N * K, D)."""
        keys, own = (self.queue.keys, None) if self._step_keys is None else self._step_keys
        return info_nce(query, positive, keys, self.temperature, own=own).mean()

    def _keys_of_step(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Keys of both views of all processes, and whose of them lie in the image of each row.

        Args:
            first, second: Region vectors (N * K, D) of the views.

        Returns:
            (D, W * N * 2K), image by image, and (N * K, 2K) int64 columns.
        """
        views = [keys.unflatten(0, (-1, self.num_boxes)) for keys in (first, second)]
        keys, own = keys_of_step(torch.cat(views, dim=1))  # (N, 2K, D)
        return keys, own.repeat_interleave(self.num_boxes, dim=0)

    @staticmethod
    def _of(inputs: dict, key: str, count: int) -> list[Any]:
        """The ``count`` tensors of a key of the batch."""
        found = inputs.get(key)
        if found is None or len(found) != count:
            have = 'none' if found is None else f'{len(found)}'
            raise ValueError(
                f'D3SSL: the batch needs {key!r} of {count} view(s) and has {have}; '
                + _HOW.get(key, 'build the views with CommonBoxViews and pack the key')
            )
        return list(found)


def _matched(boxes: Tensor, wanted: Tensor, ids: Tensor) -> Tensor:
    """Boxes (N, K, 4) put into the order in which their ids (N, K) stand in ``wanted`` (N, K).

    Of repeated ids the first box is taken.
    """
    equal = wanted[:, :, None] == ids[:, None]  # (N, K, K)
    rows = equal.to(torch.uint8).argmax(dim=2)  # (N, K)
    return boxes.gather(1, rows[..., None].expand(-1, -1, 4))


def _check_ids(wanted: Tensor, ids: Tensor) -> None:
    """Refuse ids (N, K) of view 1 that view 2 lacks."""
    if not (wanted[:, :, None] == ids[:, None]).any(dim=2).all():
        raise ValueError(
            'D3SSL: a box of view 1 has no box with its id in view 2; make the views with '
            'CommonBoxViews, which gives both the same proposals'
        )
