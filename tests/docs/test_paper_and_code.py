"""Every switch that the page of disagreements names is there, and its default is the named one."""

import ast
import inspect
import re
from typing import Any

import pytest

import mmdssl.datasets
import mmdssl.evaluation.extractors
import mmdssl.models  # noqa: F401
from mmdssl.engine.optimizers import LayerDecayOptimWrapperConstructor
from mmdssl.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from tests.docs.page import load

PAGE = load('paper_and_code.md')
SWITCH = re.compile(r'`(\w+)\((\w+)=(.*?)\)`(?:,|;|$| )')
# Named in a config, where it is set, not in the signature.
SET_IN_CONFIGS = {('RegionCollaborativeCutout', 'empty_prob')}


def rows() -> list[list[str]]:
    """Cells of all rows of the tables, without their heads."""
    lines = [line for line in PAGE.splitlines() if line.startswith('| ')]
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    return [row for row in cells if row[0] != 'what']


def owner(name: str) -> type:
    for registry in (TRANSFORMS, MODELS, METRICS, DATASETS):
        if (found := registry.module_dict.get(name)) is not None:
            return found
    if name == 'DenseProbe':
        pytest.importorskip('mmcv._ext', reason='mmseg needs compiled ops')
        from mmdssl.transfer.dense_probe import DenseProbe

        return DenseProbe
    return {'LayerDecayOptimWrapperConstructor': LayerDecayOptimWrapperConstructor}[name]


def parameter(cls: type, name: str) -> inspect.Parameter | None:
    """Of the first ``__init__`` up the classes that has it."""
    for base in cls.__mro__:
        own = base.__dict__.get('__init__')
        found = own and inspect.signature(own).parameters.get(name)
        if found:
            return found
    return None


@pytest.mark.parametrize('row', rows(), ids=lambda row: row[0])
def test_every_disagreement_has_a_switch_and_the_default_named(row):
    assert len(row) == 4, 'what, paper, code, switch'
    switches = SWITCH.findall(row[3])
    assert switches or 'in the config' in row[3]
    for name, argument, written in switches:
        found = parameter(owner(name), argument)
        assert found is not None, f'{name} has no {argument}'
        if written.startswith('dict('):
            continue  # a setting of a config, below
        value: Any = ast.literal_eval(written)
        if (name, argument) not in SET_IN_CONFIGS and argument != 'key':
            assert found.default == value, f'{name}({argument}={found.default!r})'


def test_alternatives_are_accepted():
    """Each further value in quotation marks is one that the class takes."""
    for row in rows():
        for name, argument, _ in SWITCH.findall(row[3]):
            annotation = str(parameter(owner(name), argument).annotation)
            literals = re.findall(r'Literal\[(.*?)\]', annotation)
            if not literals:
                continue
            given = {ast.literal_eval(v) for v in re.findall(r"`('[\w+-]+')`", row[3])}
            assert all(repr(value) in literals[0] for value in given), (name, argument)


def test_settings_of_configs_are_what_the_page_says():
    from mmdssl.engine.config import load_config
    from tests.conftest import ROOT

    folder = ROOT / 'configs/transfer/coco_detection'
    pytest.importorskip('mmdet', reason='reads configs of mmdet')
    cascade = load_config(folder / 'cascade-mask-rcnn_vit-small-p16_8xb4-1x_coco.py')
    assert cascade.optim_wrapper.paramwise_cfg == dict(decay_rate=0.8, decay_pos_cls=True)
    c4 = load_config(folder / 'mask-rcnn_r50-c4_8xb2-90k_coco.py')
    assert c4.optim_wrapper.optimizer.weight_decay == 1e-4
