"""METHODS.md names every method, branch and measure there is, and nothing that is not there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import mmdssl.evaluation
import mmdssl.models  # noqa: F401
from mmdssl.engine.config import load_config
from mmdssl.models.algorithms.base import BaseDenseSSL
from mmdssl.registry import METRICS, MODELS
from tests.conftest import ROOT

TEXT = (ROOT / 'METHODS.md').read_text()
LINK = re.compile(r'\[([^\]]+)\]\(([^):]+)\)')
FOLDERS = (
    'ibot',
    'densecl',
    'pointlevel',
    'pixpro',
    'byol',
    'resim',
    'soco',
    'maskalign',
    'leopart',
    'd3ssl',
    'slotcon',
    'neco',
    'plrc',
    'selfemd',
)


def rows(title: str) -> list[list[str]]:
    """Cells of the rows of the table under a heading, without its head."""
    (section,) = re.findall(rf'^## {title}\n(.*?)(?=^## |\Z)', TEXT, re.M | re.S)
    lines = [line for line in section.splitlines() if line.startswith('|')]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines[2:]]


def classes(title: str) -> set[str]:
    """Names in backticks in the column of classes, the third."""
    return {name for row in rows(title) for name in re.findall(r'`(\w+)', row[2])}


@cache
def functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if hasattr(node, 'name')}


def registered(registry, *modules: str) -> set[str]:
    return {
        name
        for name, kind in registry.module_dict.items()
        if kind.__module__.startswith(modules) and 'tests' not in kind.__module__
    }


def test_every_method_branch_and_measure_has_a_row_and_every_row_one_of_them():
    hosts = {
        name
        for name in registered(MODELS, 'mmdssl.')
        if issubclass(MODELS.module_dict[name], BaseDenseSSL)
    }
    assert classes('Papers and configs') == hosts
    branches = registered(MODELS, 'mmdssl.models.branches')
    assert classes('Branches') == branches
    assert classes('Measures') == registered(METRICS, 'mmdssl.evaluation')


def test_every_method_has_its_parity_and_its_results():
    names = {re.split(r'[,(]', row[0])[0].strip() for row in rows('Papers and configs')}
    for title in ('Parity with the original code', 'Measured'):
        assert names <= {row[0] for row in rows(title)}, title


def test_every_config_of_the_methods_stands_in_the_row_of_its_class():
    """In the column of its kind: with the branch or without."""
    linked = []
    for row in rows('Papers and configs'):
        name, arguments = re.search(r'`(\w+)`?(\(.*?\))?', row[2]).groups()
        for column, decoupled in ((3, False), (4, True)):
            for _, target in LINK.findall(row[column]):
                if not target.endswith('.py'):
                    continue
                linked.append(target)
                model = load_config(ROOT / target).model
                assert model.type == name, target
                assert bool(model.get('decoupling')) is decoupled, target
                assert (model.get('loss_lambda') == 0) is (arguments == '(loss_lambda=0)'), target
    there = [
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / 'configs' / folder).glob('*.py')
    ]
    assert sorted(linked) == sorted(there)


def test_links_lead_somewhere():
    for _, target in LINK.findall(TEXT):
        assert (ROOT / target.partition('#')[0]).exists(), target


def test_named_tests_exist():
    named = [
        (text[1:-1], target) for text, target in LINK.findall(TEXT) if text.startswith('`test')
    ]
    assert len(named) > 20
    for name, target in named:
        assert name in functions(ROOT / target), f'{target} has no {name}'


@pytest.mark.parametrize('row', rows('Parity with the original code'), ids=lambda row: row[1][:30])
def test_tolerances_are_those_of_the_tests(row):
    """What ``assert_close`` takes where a test states nothing is 1e-5."""
    sources = [(ROOT / target).read_text() for _, target in LINK.findall(row[3])]
    assert sources, 'no test'
    for tolerance in re.findall(r'1e-\d+', row[2]):
        assert tolerance == '1e-5' or any(tolerance in source for source in sources), tolerance


def test_measured_numbers_stand_on_the_pages_named():
    (section,) = re.findall(r'^## Measured\n(.*?)(?=^## )', TEXT, re.M | re.S)
    pages = [(ROOT / target.partition('#')[0]).read_text() for _, target in LINK.findall(section)]
    scenes, photos, pairs = pages
    for _, on_scenes, on_photos, *differences in rows('Measured'):
        for cell, page in ((on_scenes, scenes), (on_photos, photos)):
            for number in re.findall(r'[\d.]+', cell):
                assert re.search(rf'(?<![\d.]){number}(?![\d.])', page), number
        for cell in differences:
            assert not cell or f' {cell} ' in pairs, cell
