"""PixPro, BYOL and ReSim on two processes: the double batch of one process.

Without BatchNorm, of which both have their own batches. ReSim in its C4 form, because the negatives
of its fine map are those of the own process, and with crops that show as many windows on either.
"""

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from mmdssl.engine.launch import leave_process_group
from tests.models.algorithms.double_batch import check_equal, join, merged, train
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


def rank(index: int, port_file: str, out: str) -> None:
    join(index, port_file)
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
    model = HOSTS[name][0]().double()
    train(model, merged(parts(name)))
    check_equal(model, *(result[name] for result in results))
