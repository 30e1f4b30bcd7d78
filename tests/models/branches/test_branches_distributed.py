"""Branches on two processes: nobody waits for a gradient, and all have one Gram teacher."""

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from mmdssl.engine.launch import leave_process_group
from tests.models.branches.test_branch import GRAM, HOSTS, KERNEL
from tests.ranks import found_by_two


def rank(index: int, port_file: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{port_file}', rank=index, world_size=2
    )
    result = {}
    for name, (build, batch) in HOSTS.items():
        # The head of the second rests in the first step.
        model = build(branches=[dict(GRAM, refresh_every=2), dict(KERNEL, start=1)])
        wrapped = DistributedDataParallel(model, broadcast_buffers=False)
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
        for step in range(3):
            model.clock.set(iteration=step, max_iterations=10)
            losses = wrapped(batch(seed=10 * index + step), mode='loss')
            sum(losses.values()).backward()
            optimizer.step()
            optimizer.zero_grad()
            model.update_teacher()
        result[name] = dict(
            losses={key: loss.item() for key, loss in losses.items()},
            branches=model.branches.state_dict(),
            teacher=model.teacher.state_dict(),
        )
    torch.save(result, f'{out}{index}.pt')
    leave_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory) -> list[dict]:
    return found_by_two(rank, tmp_path_factory.mktemp('branches'))


@pytest.mark.parametrize('name', HOSTS)
def test_processes_train_one_model_on_their_own_images(ranks, name):
    one, other = (found[name] for found in ranks)
    assert one['losses'].keys() == other['losses'].keys() >= {'loss_gram', 'loss_patch_kernel'}
    assert all(one['losses'][key] != other['losses'][key] for key in one['losses'])
    for key, value in one['branches'].items():
        assert torch.equal(value, other['branches'][key]), key


def test_statistics_of_the_gram_teacher_are_those_of_the_first_process(ranks):
    """Those of the host's teacher differ: each process has seen images of its own."""
    own = [found['densecl']['teacher']['backbone.bn1.running_mean'] for found in ranks]
    held = [found['densecl']['branches']['gram.teacher.bn1.running_mean'] for found in ranks]
    assert not torch.equal(*own)
    assert torch.equal(*held)
    assert held[0].any()
