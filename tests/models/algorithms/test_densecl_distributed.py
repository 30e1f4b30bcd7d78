"""DenseCL on two processes: the double batch of one process, and shuffled BatchNorm."""

import pytest
import torch
from torch.nn.functional import normalize
from torch.nn.parallel import DistributedDataParallel

from mmdssl.engine.launch import leave_process_group
from mmdssl.models.utils.queue import KeyQueue
from tests.models.algorithms.double_batch import check_equal, join, merged, train
from tests.models.tiny_resnet import place_batch, tiny_densecl
from tests.ranks import found_by_two


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


def rank(index: int, port_file: str, out: str) -> None:
    join(index, port_file)
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
    model = without_batch_norm(rule)
    train(model, merged(parts()))
    one, two = (result[f'model_{rule}'] for result in results)
    check_equal(model, one, two)
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
