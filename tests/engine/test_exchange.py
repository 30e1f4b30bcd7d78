"""Metrics that need a shared folder are named before a run on several nodes."""

import warnings

import pytest
from mmengine.config import Config

from mmdssl.engine.exchange import check_exchange, node_count


@pytest.mark.parametrize(
    ('environment', 'nodes'),
    [
        ({}, 1),
        (dict(WORLD_SIZE='8', LOCAL_WORLD_SIZE='8'), 1),
        (dict(WORLD_SIZE='16', LOCAL_WORLD_SIZE='8'), 2),
        (dict(WORLD_SIZE='12', LOCAL_WORLD_SIZE='8'), 2),
        (dict(SLURM_NNODES='4'), 4),
        (dict(WORLD_SIZE='8'), 1),
    ],
)
def test_nodes_are_counted_as_the_launcher_tells_them(environment, nodes):
    assert node_count(environment) == nodes


def found(evaluator, nodes: int = 2) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        check_exchange(Config(dict(val_evaluator=evaluator)), nodes=nodes)
    return [str(one.message) for one in caught]


def test_a_metric_of_mmengine_is_named_with_what_to_do():
    dump = dict(type='DumpResults', out_file_path='x.pkl')
    for evaluator in (dump, [dump], dict(type='Evaluator', metrics=[dump])):
        (message,) = found(evaluator)
        assert 'val_evaluator: DumpResults exchanges' in message
        assert "collect_device='gpu'" in message
    assert not found(dump, nodes=1)
    assert not found(dict(dump, collect_device='gpu'))
    assert not found(dict(dump, collect_dir='/shared/exchange'))


def test_own_metrics_need_no_folder():
    own = ('ObjectKNN', 'OverClustering', 'InterObjectCoupling', 'LocalSemanticConsistency')
    assert not found([dict(type=kind) for kind in own])
    assert not found(None)
