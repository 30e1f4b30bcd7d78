"""DenseCL on two processes: the double batch of one process, and shuffled BatchNorm."""

import pytest
import torch
from torch.nn.functional import normalize
from torch.nn.parallel import DistributedDataParallel

from mmdssl.engine.launch import leave_process_group
from mmdssl.models.utils.queue import KeyQueue
from tests.models.tiny_resnet import place_batch, tiny_densecl
from tests.ranks import found_by_two

# Ranks hold A and B. One process holds all eight images in an order in which the last
# quarter (A3, B3) finds the same mirror partners (A0, B0) as on the ranks.
ORDER = [('B', 0), ('A', 0), ('A', 1), ('A', 2), ('B', 1), ('B', 2), ('A', 3), ('B', 3)]
STEPS = 2


def parts() -> dict[str, dict]:
    return {name: double(place_batch(4, seed=seed)) for name, seed in (('A', 11), ('B', 12))}


def double(batch: dict) -> dict:
    return {**batch, 'views': [view.double() for view in batch['views']]}


RULES = (1, 'place')


def without_batch_norm(rule=1):
    """Then samples do not see each other, and any split of a batch gives the same keys."""
    norm = dict(type='GN', num_groups=2)
    branch = dict(type='DecouplingBranch')
    return tiny_densecl(
        backbone=dict(norm_cfg=norm), decoupling=branch, queue_length=24, correspondence=rule
    ).double()


def train(model, batch: dict) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for step in range(STEPS):
        losses = model(batch, mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        host = getattr(model, 'module', model)
        host.clock.set(iteration=step, max_iterations=10)
        host.update_teacher()


def rank(index: int, port_file: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{port_file}', rank=index, world_size=2
    )
    torch.manual_seed(index)  # the processes of a run draw differently
    batch = parts()['AB'[index]]
    result = {}
    for rule in RULES:
        model = without_batch_norm(rule)
        train(DistributedDataParallel(model), batch)
        result[f'model_{rule}'] = model.state_dict()
    for shuffle in (True, False):
        host = tiny_densecl(shuffle_bn=shuffle).double()
        torch.manual_seed(index)
        host._teach(batch['views'][1])
        result[f'mean_{shuffle}'] = host.teacher.backbone.bn1.running_mean

    queue = KeyQueue(dim=2, length=6)
    try:
        queue.enqueue(normalize(torch.ones(4, 2)))
    except ValueError as error:
        result['refused'] = str(error)
    fitted = tiny_densecl(queue_length=65536)
    fitted.check_data(batch_size=4, num_images=30)
    result['fitted'] = fitted.queue.length
    torch.save(result, f'{out}{index}.pt')
    leave_process_group()


@pytest.fixture(scope='module')
def results(tmp_path_factory) -> list[dict]:
    """What both ranks found."""
    return found_by_two(rank, tmp_path_factory.mktemp('ranks'))


@pytest.mark.parametrize('rule', RULES)
def test_two_processes_equal_one_with_the_double_batch(results, rule):
    both = parts()
    merged = {
        key: [torch.stack([both[name][key][view][i] for name, i in ORDER]) for view in range(2)]
        for key in ('views', 'dc_mask', 'crop_box', 'flip')
    }
    model = without_batch_norm(rule)
    train(model, merged)
    one, two = (result[f'model_{rule}'] for result in results)
    assert all(torch.equal(one[name], two[name]) for name in one)
    # A rank's keys stand in the queue in the order of the ranks: A0 .. A3, B0 .. B3.
    columns = torch.tensor([ORDER.index((name, i)) for name in 'AB' for i in range(4)])
    columns = torch.cat([columns + 8 * step for step in range(STEPS)] + [torch.arange(16, 24)])
    for name, value in model.state_dict().items():
        want = value[:, columns] if name.endswith('queue.keys') else value
        torch.testing.assert_close(one[name], want, msg=lambda text, name=name: f'{name}: {text}')
    assert one['dense_queue.pointer'].item() == 16


def test_shuffled_batches_of_the_teacher_hold_images_of_both_processes(results):
    shuffled = [result['mean_True'] for result in results]
    own = [result['mean_False'] for result in results]
    # Each image is seen once: the mean over the processes stays, their shares change.
    torch.testing.assert_close(shuffled[0] + shuffled[1], own[0] + own[1])
    for one in own:
        assert (shuffled[0] - one).abs().max() > 1e-3


def test_queue_counts_the_keys_of_all_processes(results):
    for result in results:
        assert '8 keys a step do not fit a queue of 6' in result['refused']
        assert result['fitted'] == 24  # of 30 images, 8 a step
