"""The contract between a method and its branches, from the method's side.

A **branch** is a further loss that knows no method by name: de-coupling, Gram anchoring, alignment
of patch kernels, or one of your own. A method (host) carries a list of them::

    model = dict(type='IBOT', ..., branches=[
        dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25),
        dict(type='GramAnchoring', weight=1.0, start=2, by_epoch=True)])

and ``decoupling=dict(...)`` is short for ``branches=[dict(type='DecouplingBranch', ...)]``; with
both, de-coupling comes first. In every training step the host computes its own losses and calls
``with_branches(losses, inputs, targets)``. Each branch gets the host, the batch, the teacher
targets by view (:class:`~mmdssl.models.branches.branch.Targets`, with the feature maps that both
nets have made anyway) and the step, and returns a loss with its weight; it is logged as
``loss_<name>`` with the weight in it. Before the nets run in a step, it may look at them
(``observe``: an earlier teacher is taken then). What holds for all of them:

* ``start``, ``end`` (iterations, or epochs with ``by_epoch=True``), ``warmup`` and ``name``.
* Outside of that time, and at weight 0, nothing is computed: the host's losses are, bit for bit,
  those of a host without branches. Building a branch moves none of the host's random draws.
* A host's losses are scaled only by a branch that says so (``loss_weighting='convex'``), and
  branches never scale each other.
* Gradients reach the student, and trained parts of the branch; never a teacher.
* What it trains, the host's moving average can follow (``Branch.followed``); what it keeps is part
  of checkpoints under ``branches.<name>``.

A branch of one's own is a name and a loss::

    @MODELS.register_module()
    class PatchNorm(Branch):
        name = 'patch_norm'

        def compute(self, host, inputs, targets, *, step):
            return torch.stack([x.square().mean() for x in targets.student.values()]).mean()

:class:`DenseHost` lists what branches may ask for. Hosts derived from ``BaseDenseSSL`` have all of
it but ``dense_features``, ``dense_loss`` and ``dense_targets``, which de-coupling needs. A method
elsewhere that only wants to be de-coupled needs these three and the two attributes at the top.
"""

from typing import Any, Protocol

from torch import Tensor, nn

from mmdssl.models.foreground import Foreground
from mmdssl.models.objectives import Objective


class DenseHost(Protocol):
    """What a method offers to its branches."""

    supports_patch_mixing: bool
    #: Of :data:`mmdssl.models.objectives.OBJECTIVES` those known besides ``'point'``.
    further_objectives: tuple[Objective, ...]

    #: Student backbone.
    backbone: nn.Module
    #: Teacher: has an attribute ``backbone``, and what :meth:`Branch.followed` names.
    teacher: Any
    #: :class:`TrainingClock`; asked by branches with a start, an end or a warm-up.
    clock: Any

    def get_backbone(self, which: str = 'auto') -> nn.Module:
        """The ``'student'`` or ``'teacher'`` backbone."""

    def dense_map(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Feature map (n, C, h, w) of a backbone of the host's kind, after its last norm.

        For branches that compare maps: asked where the host has none in its targets, and for
        networks of their own (an earlier teacher). ``images`` (n, 3, H, W) may have another size.
        """

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
