"""The contract between a method and the de-coupling branch, from the method's side."""

from typing import Any, Protocol

from torch import Tensor

from mmdssl.models.foreground import Foreground
from mmdssl.models.objectives import Objective


class DenseHost(Protocol):
    """What a method offers to be de-coupled."""

    supports_patch_mixing: bool
    #: Of :data:`mmdssl.models.objectives.OBJECTIVES` those known besides ``'point'``.
    further_objectives: tuple[Objective, ...]

    def dense_features(
        self,
        images: Tensor,
        *,
        background: Tensor | None = None,
        background_mask: Tensor | None = None,
        detach_background: bool = True,
    ) -> Any:
        """Student features of images (n, 3, H, W), in any form the host likes.

        With ``background`` the host mixes at its patch embeddings (only asked of
        hosts with ``supports_patch_mixing``).
        """

    def dense_loss(
        self, features: Any, targets: Any, foreground: Foreground, *, objective: Objective = 'point'
    ) -> Tensor:
        """The host's dense loss between those features and teacher targets (scalar).

        ``targets`` are the rows of what the host gave the branch: teacher outputs, and
        whatever else of a key view the loss needs (boxes of a region host). The loss
        is restricted to ``foreground`` and averaged over samples. A host without
        ``further_objectives`` can leave the argument out.
        """

    def dense_targets(self, images: Tensor, reused: Any) -> Any:
        """Teacher targets of redrawn key views; only asked with ``reaugment='both'``.

        ``images`` (n, 3, H, W) show the same crops as the ordinary key views in other
        colours. ``reused`` are the rows of the ordinary targets, for hosts that keep
        more in them than teacher outputs (boxes).
        """
