"""A host on two processes is the host on one with the double batch: what such tests share.

Without BatchNorm, of which every process has its own batches.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmdssl.engine.launch import leave_process_group

# Ranks hold A and B, four images each. The branch takes the last of a batch and finds its
# background at the mirror place: A3 with A0 and B3 with B0, on one process in this order as there.
ORDER = [('B', 0), ('A', 0), ('A', 1), ('A', 2), ('B', 1), ('B', 2), ('A', 3), ('B', 3)]
STEPS = 2

Parts = Mapping[str, dict]


def train(model: nn.Module, batch: dict, *, lr: float = 0.1) -> None:
    """Two steps of SGD on one batch."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr)
    host = getattr(model, 'module', model)
    for step in range(STEPS):
        host.clock.set(iteration=step, max_iterations=10, iterations_per_epoch=5)
        losses = model(batch, mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        host.update_teacher()


def join(index: int, port_file: str) -> None:
    """Join the group of the two processes."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{port_file}', rank=index, world_size=2
    )


def train_rank(
    index: int,
    port_file: str,
    out: str,
    *,
    host: Callable[[], nn.Module],
    parts: Callable[[], Parts],
    lr: float,
) -> None:
    """What each process does: `found_by_two` takes it with the last three set."""
    join(index, port_file)
    model = host()
    train(DistributedDataParallel(model), parts()['AB'[index]], lr=lr)
    torch.save(model.state_dict(), f'{out}{index}.pt')
    leave_process_group()


def merged(parts: Parts) -> dict[str, list[Tensor]]:
    """The double batch, every entry a list of views."""
    return {
        key: [
            torch.stack([parts[name][key][view][i] for name, i in ORDER])
            for view in range(len(parts['A'][key]))
        ]
        for key in parts['A']
    }


def check_equal(model: nn.Module, one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    """Both processes hold the same, and what one process holds.

    A queue has 24 places: 8 keys a step, those of a rank in the order of the ranks.
    """
    assert all(torch.equal(one[name], two[name]) for name in one)
    columns = torch.tensor([ORDER.index((name, i)) for name in 'AB' for i in range(4)])
    columns = torch.cat([columns + 8 * step for step in range(STEPS)] + [torch.arange(16, 24)])
    for name, value in model.state_dict().items():
        want = value[:, columns] if name.endswith('queue.keys') else value
        torch.testing.assert_close(one[name], want, msg=lambda text, name=name: f'{name}: {text}')
