"""The branches of a host: ``branches=[...]``, and ``decoupling=`` for the list of one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor, nn

from mmdssl.models.branches.branch import Branch, BranchLoss
from mmdssl.models.branches.decoupling import DecouplingBranch
from mmdssl.models.decoupled_views import DecoupledViews
from mmdssl.models.utils.own_draws import own_draws
from mmdssl.registry import MODELS

if TYPE_CHECKING:
    from mmdssl.models.dense_host import DenseHost

__all__ = ['Branches']


class Branches(nn.ModuleDict):
    """The branches of a host by name, in the order in which they were given.

    What they draw at random for weights of their own leaves the host's draws alone.

    Args:
        host: The method; its networks are built, those of its teacher need not be.
        decoupling: Config of a :class:`DecouplingBranch`, in front of the others; None: none.
        branches: Configs of branches.
        defaults: Settings of the host for a :class:`DecouplingBranch`, where it has its own.

    Raises:
        ValueError: If two have one name, or a branch refuses the host.
        TypeError: If one is no :class:`Branch`.
    """

    def __init__(
        self,
        host: 'DenseHost',
        *,
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        defaults: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        configs = [dict(one) for one in ([decoupling] if decoupling else []) + list(branches or [])]
        for config in configs:
            if _is_decoupling(config.get('type')):
                config = {**(defaults or {}), **config}
            with own_draws():
                branch = MODELS.build(config)
                if not isinstance(branch, Branch):
                    raise TypeError(
                        f'branches of {type(host).__name__}: {type(branch).__name__} is no Branch '
                        '(mmdssl.models.branches); derive it from that'
                    )
                branch.check_host(host)
                branch.bind(host)
            if branch.name in self:
                raise ValueError(
                    f'{type(host).__name__}: two branches are named {branch.name!r}; give one of '
                    'them a name of its own: name=...'
                )
            self[branch.name] = branch

    def each(self) -> list[Branch]:
        """They, in their order."""
        return [branch for branch in self.values() if isinstance(branch, Branch)]

    @property
    def first_decoupling(self) -> DecouplingBranch | None:
        """The first de-coupling branch."""
        return next((b for b in self.values() if isinstance(b, DecouplingBranch)), None)

    def init_weights(self) -> None:
        """Of each branch."""
        for branch in self.each():
            with own_draws():
                branch.init_weights()

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a batch size per process that one of them cannot use."""
        for branch in self.each():
            branch.check_batch_size(batch_size)

    def followed(self) -> dict[str, nn.Module]:
        """What the moving average of the host follows beside its own parts."""
        return {
            f'{branch.name}_{part}': module
            for branch in self.each()
            for part, module in branch.followed().items()
        }

    def observe(self, host: 'DenseHost') -> None:
        """A training step begins, see :meth:`Branch.observe`."""
        for branch in self.each():
            branch.observe(host, step=host.clock.iteration)

    def compose(self, host: 'DenseHost', inputs: dict) -> DecoupledViews | None:
        """X^D for a host that passes them together with its own images; None: not in this step."""
        branch = self.first_decoupling
        if branch is None or branch.weight_now(host) == 0:
            return None
        return branch.compose(inputs, step=host.clock.iteration)

    def extend(
        self,
        host: 'DenseHost',
        losses: dict[str, Float[Tensor, '']],
        inputs: dict,
        targets: dict[int, Any],
        *,
        passed: tuple[DecoupledViews, Any] | None = None,
    ) -> dict[str, Float[Tensor, '']]:
        """The losses of the host and of all branches, each with its weight.

        Args:
            host: The method.
            losses: Its own losses by name. Branches scale these, never each other's.
            inputs: The batch.
            targets: See :meth:`Branch.forward`.
            passed: What :meth:`compose` gave, and the student's features of it, where the host
                has passed them already.
        """
        extra: dict[str, Tensor] = {}
        first = self.first_decoupling
        for branch in self.each():
            if passed is not None and branch is first:
                result: BranchLoss = first.judge(host, *passed, targets)
            else:
                result = branch(host, inputs, targets, step=host.clock.iteration)
            losses = branch.combine(losses, result)
            key = f'loss_{branch.name}'
            extra[key] = losses.pop(key)
        return {**losses, **extra}


def _is_decoupling(kind: Any) -> bool:
    name = kind if isinstance(kind, str) else getattr(kind, '__name__', '')
    return name.rpartition('.')[2] == DecouplingBranch.__name__
