"""PixPro, BYOL and ReSim on two processes: the double batch of one process.

Without BatchNorm, of which both have their own batches. ReSim in its C4 form, because the negatives
of its fine map are those of the own process, and with crops that show as many windows on either.
"""

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from mmdssl.engine.launch import leave_process_group
from tests.models.tiny_resnet import (
    byol_mlp,
    place_batch,
    point_mlp,
    tiny_byol,
    tiny_pixpro,
    tiny_resim,
    window_batch,
)
from tests.ranks import found_by_two

# Ranks hold A and B, four images each. The branch takes the last of a batch and finds its
# background at the mirror place: A3 with A0 and B3 with B0, here as there.
ORDER = [('B', 0), ('A', 0), ('A', 1), ('A', 2), ('B', 1), ('B', 2), ('A', 3), ('B', 3)]
STEPS = 2
NORM = dict(norm_cfg=dict(type='GN', num_groups=2))
BRANCH = dict(type='DecouplingBranch')


def layer_norm(**kwargs) -> dict:
    return dict(byol_mlp(**kwargs), norm_cfg=dict(type='LN'))


def pixpro():
    return tiny_pixpro(backbone=NORM, neck=point_mlp(32, norm=False), decoupling=BRANCH)


def byol():
    return tiny_byol(
        backbone=NORM,
        neck=layer_norm(channels=32, pool=True),
        head=dict(
            type='LatentPredictHead',
            loss=dict(type='CosineSimilarityLoss'),
            predictor=layer_norm(channels=8, pool=False),
        ),
        decoupling=BRANCH,
    )


def resim():
    return tiny_resim(backbone=NORM, levels=('c4',), queue_length=24, decoupling=BRANCH)


def windows(size: int, *, seed: int) -> dict:
    batch = window_batch(size, seed=seed)
    same = window_batch(size)
    return {**batch, 'crop_box': same['crop_box'], 'flip': same['flip']}


HOSTS = {'pixpro': (pixpro, place_batch), 'byol': (byol, place_batch), 'resim': (resim, windows)}


def parts(name: str) -> dict[str, dict]:
    _, batch = HOSTS[name]
    found = {which: batch(4, seed=seed) for which, seed in (('A', 11), ('B', 12))}
    for one in found.values():
        one['views'] = [view.double() for view in one['views']]
    return found


def train(model, batch: dict) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for step in range(STEPS):
        losses = model(batch, mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        host = getattr(model, 'module', model)
        host.clock.set(iteration=step, max_iterations=10, iterations_per_epoch=5)
        host.update_teacher()


def rank(index: int, port_file: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{port_file}', rank=index, world_size=2
    )
    torch.manual_seed(index)  # the processes of a run draw differently
    result = {}
    for name, (build, _) in HOSTS.items():
        model = build().double()
        train(DistributedDataParallel(model), parts(name)['AB'[index]])
        result[name] = model.state_dict()
    torch.save(result, f'{out}{index}.pt')
    leave_process_group()


@pytest.fixture(scope='module')
def results(tmp_path_factory) -> list[dict]:
    return found_by_two(rank, tmp_path_factory.mktemp('ranks'))


@pytest.mark.slow
@pytest.mark.parametrize('name', HOSTS)
def test_two_processes_equal_one_with_the_double_batch(results, name):
    both = parts(name)
    merged = {
        key: [torch.stack([both[which][key][view][i] for which, i in ORDER]) for view in range(2)]
        for key in both['A']
    }
    model = HOSTS[name][0]().double()
    train(model, merged)
    one, two = (result[name] for result in results)
    assert all(torch.equal(one[key], two[key]) for key in one)
    # A rank's keys stand in the queue in the order of the ranks.
    columns = torch.tensor([ORDER.index((which, i)) for which in 'AB' for i in range(4)])
    columns = torch.cat([columns + 8 * step for step in range(STEPS)] + [torch.arange(16, 24)])
    for key, value in model.state_dict().items():
        want = value[:, columns] if key == 'queue.keys' else value
        torch.testing.assert_close(one[key], want, msg=lambda text, key=key: f'{key}: {text}')
