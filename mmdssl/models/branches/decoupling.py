"""The de-coupling branch: one component for every host.

"Mind Your Augmentation" (ICLR 2024), Sec. 4.2: a share of the key views X gets
its background replaced by another image of the batch,

    X^D = X * (1 - M) + X_B * M,

and the host's own dense loss is applied between the student's features of X^D
and the teacher's features of X at the same positions, on the foreground only:

    total = (1 - weight) * L + weight * L_D   (paper)   or   L + weight * L_D   (code).

The branch knows no host by name. It picks key views, composes X^D, asks the host
for dense features and for its dense loss, and weighs the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils._pytree import tree_map

from mmdssl.core.step_generator import BRANCH, step_generator
from mmdssl.models.branches.branch import Branch, BranchLoss
from mmdssl.models.decoupled_views import DecoupledViews, kept_on_host, mix_pixels
from mmdssl.models.dense_host import DenseHost
from mmdssl.models.foreground import Foreground
from mmdssl.models.objectives import OBJECTIVES, Objective
from mmdssl.models.utils.host_copies import HostCopies
from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.models.view_selection import Selection, select_key_views
from mmdssl.registry import MODELS


@dataclass(frozen=True)
class Decoupled(BranchLoss):
    """Result of the branch for one batch; its ``loss`` is L_D.

    Attributes:
        selections: The key views used, one entry per view.
    """

    selections: tuple[Selection, ...] = ()


@MODELS.register_module()
class DecouplingBranch(Branch):
    """De-couples the dense features of a host (see the module docstring).

    The defaults are the paper's side of each paper / code disagreement; a host
    may bring defaults of its own (iBOT-D brings those of the public code).

    Args:
        weight: lambda, the weight of L_D, > 0.
        objective: Which vectors L_D compares: ``'point'`` the same position (paper);
            ``'average'`` or ``'all'`` for the comparison of its Table 5, ``'emd'``, see
            :mod:`mmdssl.models.objectives`.
        loss_weighting: ``'convex'`` (paper): (1 - weight) L + weight L_D; ``'additive'``
            (iBOT-D code): L + weight L_D.
        sample_ratio: Share of the images of each key view that get an X^D, in (0, 1].
        key_views: Indices of the views that serve as key views.
        select: ``'last'``: the last images of the batch (the loader shuffles);
            ``'random'``: drawn anew each step.
        background: Partner of image i among N: ``'flip'`` N-1-i of the next key
            view (code), ``'roll'`` i+1, ``'random'`` a random shift; never i.
        mask_source: ``'fresh'``: each image's own mask ``mask_key``; ``'pool'``:
            the first non-empty masks of the batch, whichever image they were
            drawn for (code).
        mask_key: Entry of the batch that holds the masks; default ``'dc_mask'``
            for ``'fresh'``, ``'mask'`` for ``'pool'``.
        complement_ratio: Share of the samples that use the complement of the mask: the cut
            rectangles become the foreground. No draw: of the n samples of each view the
            last ``round(share * n)``.
        complement_rectangles: Complement masks too that leave a single rectangle as
            foreground (``RectangleForeground``; nothing cut leaves the whole image). False
            is iBOT's default: its code complements RCC masks, and the studies with
            rectangles compare what is inside of them.
        mix_level: ``'pixel'``, or ``'patch_embed'`` for ViT hosts.
        detach: No gradient through background patch embeddings. Has no meaning
            at pixel level, where ``True`` is refused; default: True for ``'patch_embed'``.
        foreground_threshold: Kept share from which a feature cell counts as foreground.
        reaugment: ``False``: X^D shows the pixels of the ordinary key view and the
            teacher's outputs are reused (paper). ``'student'``: X^D gets a colour
            draw of its own. ``'both'``: the teacher sees the redrawn copy as well,
            at the cost of a teacher pass (what the public code does in effect;
            ``True`` means the same).
        **timing: ``start``, ``end``, ``by_epoch``, ``warmup``, ``name``, ``init_cfg``, see
            :class:`Branch`.
    """

    name = 'decoupling'

    def __init__(
        self,
        *,
        weight: float = 0.3,
        objective: Objective = 'point',
        loss_weighting: Literal['convex', 'additive'] = 'convex',
        sample_ratio: float = 0.25,
        key_views: Sequence[int] = (0,),
        select: Literal['last', 'random'] = 'last',
        background: Literal['flip', 'roll', 'random'] = 'flip',
        mask_source: Literal['fresh', 'pool'] = 'fresh',
        mask_key: str | None = None,
        complement_ratio: float = 0.0,
        complement_rectangles: bool = True,
        mix_level: Literal['pixel', 'patch_embed'] = 'pixel',
        detach: bool | None = None,
        foreground_threshold: float = 0.5,
        reaugment: Literal[False, True, 'student', 'both'] = False,
        **timing: Any,
    ) -> None:
        super().__init__(weight=weight, **timing)
        check = SettingChecks('DecouplingBranch')
        check.choice('objective', objective, OBJECTIVES)
        check.choice('loss_weighting', loss_weighting, ('convex', 'additive'))
        check.choice('select', select, ('last', 'random'))
        check.choice('background', background, ('flip', 'roll', 'random'))
        check.choice('mask_source', mask_source, ('fresh', 'pool'))
        check.choice('mix_level', mix_level, ('pixel', 'patch_embed'))
        check.choice('reaugment', reaugment, (False, True, 'student', 'both'))
        check.above('weight', weight, 0, 1 if loss_weighting == 'convex' else float('inf'))
        check.above('sample_ratio', sample_ratio, 0, 1)
        check.above('foreground_threshold', foreground_threshold, 0, 1)
        if not 0 <= complement_ratio <= 1:
            raise ValueError(
                f'DecouplingBranch: complement_ratio is {complement_ratio}, give 0 to 1'
            )
        if detach and mix_level == 'pixel':
            raise ValueError(
                "DecouplingBranch: detach=True needs mix_level='patch_embed'; mixed pixels carry "
                'no mark of their origin into the patch embedding'
            )
        if len(key_views) == 0 or len(set(key_views)) != len(key_views):
            raise ValueError(
                f'DecouplingBranch: key_views is {key_views}, give distinct view indices'
            )
        self.objective = objective
        self.loss_weighting = loss_weighting
        self.sample_ratio = sample_ratio
        self.key_views = tuple(key_views)
        self.select = select
        self.background = background
        self.mask_source = mask_source
        self.mask_key = mask_key or ('dc_mask' if mask_source == 'fresh' else 'mask')
        self.complement_ratio = complement_ratio
        self.complement_rectangles = complement_rectangles
        self.mix_level = mix_level
        self.detach = mix_level == 'patch_embed' if detach is None else detach
        self.foreground_threshold = foreground_threshold
        self.reaugment = 'both' if reaugment is True else reaugment

    def check_host(self, host: DenseHost) -> None:
        """Refuse a host that cannot do what this configuration asks (at build time)."""
        if self.mix_level == 'patch_embed' and not host.supports_patch_mixing:
            raise ValueError(
                f'DecouplingBranch: {type(host).__name__} has no patch embedding to mix at, set '
                "mix_level='pixel'"
            )
        if self.objective not in ('point', *host.further_objectives):
            raise ValueError(
                f'DecouplingBranch: {type(host).__name__} has no objective {self.objective!r}, set '
                "objective='point'"
            )

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a per-process batch that leaves nothing to de-couple.

        Raises:
            ValueError: Fewer than 2 images (no other image to take the
                background from) or ``sample_ratio`` of them below one image.
        """
        if batch_size < 2:
            raise ValueError(
                f'DecouplingBranch: a batch of {batch_size} image per process has no other image '
                'to take backgrounds from; use at least 2'
            )
        needed = 2 if self.mask_source == 'pool' else 1
        if int(self.sample_ratio * batch_size) < needed:
            raise ValueError(
                f'DecouplingBranch: sample_ratio={self.sample_ratio} of {batch_size} images per '
                f'process is less than {needed} image(s); use a batch of at least '
                f'{-int(-needed // self.sample_ratio)} or a larger sample_ratio'
            )

    def forward(
        self, host: DenseHost, inputs: dict, targets: dict[int, Any], *, step: int = 0
    ) -> Decoupled:
        """Compose the X^D of this batch and take the host's dense loss on them.

        Args:
            host: The method.
            inputs: The batch as the preprocessor gives it: ``inputs['views'][v]``
                (N, 3, H, W) normalised images, ``inputs[mask_key][v]`` (N, h, w)
                bool masks (True = background), ``inputs['raw']`` and
                ``inputs['recolor']`` where ``reaugment`` is used.
            targets: Teacher targets of every key view by view index: any nest of
                tensors with the batch first.
            step: Iteration, seeds the draws of ``'random'`` choices.

        Returns:
            The unweighted loss and what was selected.
        """
        if self.weight_now(host) == 0:
            return Decoupled(self.nothing(inputs), 0.0)
        views = self.compose(inputs, step=step)
        return self.judge(host, views, host.dense_features(views.images, **views.mixing), targets)

    def compose(self, inputs: dict, *, step: int = 0) -> DecoupledViews:
        """The X^D of this batch; arguments as for :meth:`forward`.

        A host that calls this and :meth:`judge` by itself can pass X^D through its network
        together with other images.
        """
        images: list[Tensor] = inputs['views']
        size = len(images[self.key_views[0]])
        self.check_batch_size(size)
        drawn = select_key_views(
            self._masks(inputs),
            views=self.key_views,
            count=int(self.sample_ratio * size),
            select=self.select,
            background=self.background,
            mask_source=self.mask_source,
            complement_ratio=self.complement_ratio,
            complement_rectangles=self.complement_rectangles,
            generator=step_generator(step, BRANCH),
        )
        selections = [one.to(images[self.key_views[0]].device) for one in drawn]
        rows = self._key_views(inputs, selections)
        other = torch.cat([images[s.background_view][s.background_index] for s in selections])
        masks = torch.cat([s.masks for s in selections])
        mixing: dict[str, Any] = {}
        if self.mix_level == 'patch_embed':
            mixing = dict(background=other, background_mask=masks, detach_background=self.detach)
        return DecoupledViews(
            key_views=rows,
            images=mix_pixels(rows, other, masks) if self.mix_level == 'pixel' else rows,
            mixing=mixing,
            foreground=Foreground(
                keep=~masks, threshold=self.foreground_threshold, on_host=kept_on_host(selections)
            ),
            selections=tuple(selections),
        )

    def judge(
        self, host: DenseHost, views: DecoupledViews, features: Any, targets: dict[int, Any]
    ) -> Decoupled:
        """The host's dense loss on X^D.

        Args:
            host: The method.
            views: Of :meth:`compose`.
            features: What the host made of them, as its ``dense_features`` gives it.
            targets: As for :meth:`forward`.

        Raises:
            ValueError: If a key view has no targets.
        """
        missing = [view for view in self.key_views if view not in targets]
        if missing:
            raise ValueError(
                f'DecouplingBranch: key_views={self.key_views}, but the host has teacher '
                f'targets for views {sorted(targets)} only'
            )
        parts = [_take(targets[s.view], s.index) for s in views.selections]
        chosen = tree_map(lambda *leaves: torch.cat(leaves), *parts)
        if self.reaugment == 'both':
            chosen = host.dense_targets(views.key_views, chosen)
        # Hosts that know one objective only are not asked for it by name.
        asked = {} if self.objective == 'point' else dict(objective=self.objective)
        loss = host.dense_loss(features, chosen, views.foreground, **asked)
        weight = self.weight_now(host)
        scale = 1 - weight if self.loss_weighting == 'convex' else 1.0
        return Decoupled(loss, weight, scale, views.selections)

    def _masks(self, inputs: dict) -> dict[int, Bool[Tensor, 'n h w']]:
        masks = inputs.get(self.mask_key)
        if masks is None or max(self.key_views) >= len(masks):
            have = 'none' if masks is None else f'{len(masks)} view(s)'
            raise ValueError(
                f'DecouplingBranch: the batch holds masks {self.mask_key!r} for {have}, but views '
                f'{self.key_views} need them; add RegionCollaborativeCutout('
                f'key={self.mask_key!r}) to those views and the key to PackViews'
            )
        masks = HostCopies.of(inputs, self.mask_key)
        return {view: masks[view].bool() for view in self.key_views}

    def _key_views(self, inputs: dict, selections: Sequence[Selection]) -> Float[Tensor, 'k c h w']:
        """The chosen key views (n, 3, H, W), with a colour draw of their own if asked for."""
        if not self.reaugment:
            return torch.cat([inputs['views'][s.view][s.index] for s in selections])
        if 'raw' not in inputs or 'recolor' not in inputs:
            raise ValueError(
                f'DecouplingBranch: reaugment={self.reaugment!r} needs the uint8 views; set '
                'keep_raw=True in the MultiViewPreprocessor'
            )
        return torch.cat(
            [inputs['recolor'](inputs['raw'][s.view][s.index], s.view) for s in selections]
        )


def _take(nest: Any, index: Int[Tensor, ' k']) -> Any:
    """Rows ``index`` of every tensor of a nest."""
    return tree_map(lambda leaf: leaf[index], nest)
