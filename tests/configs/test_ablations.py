"""configs/ablations: each is what its row of a study trains, and nothing stands there twice."""

import json
from functools import cache
from pathlib import Path

import pytest

from mmdssl.core.shipped import shipped
from mmdssl.studies import Study, load_study
from mmdssl.studies.run import Plan, Run

FOLDER = shipped('configs') / 'ablations'
NAMES = sorted(path.name for path in FOLDER.glob('*.py'))
TABLES = ('table_4', 'table_5', 'table_10', 'table_11', 'table_12', 'table_13')
STUDIES = [f'mind_your_augmentation/{name}' for name in (*TABLES, 'figure_8', 'figure_9')]
ALONE = """
from mmdssl.studies import Row, Setting, Study
files = {files!r}
study = Study(
    title='configs alone',
    rows=[Row(name=file, settings=dict(paper=Setting(config=file))) for file in files],
)
"""


@cache
def study_of(file: str) -> Study:
    return load_study(file)


def published_rows(file: str) -> dict[str, str]:
    """Config of every row that the paper has, at its scale."""
    study = study_of(file)
    names = {name for table in study.published for name in table.rows}
    return {
        row.name: row.settings['paper'].config
        for row in study.rows
        if row.name in names or row.role == 'base'
    }


def decided(plan: Plan, name: str) -> dict:
    """All that decides what comes out."""
    text = json.dumps(Run(plan=plan, name=name, seed=0).settings)
    return json.loads(text.replace('dc_mask_regions', 'dc_regions'))  # a name within a view


@pytest.fixture(scope='module')
def alone(tmp_path_factory) -> Plan:
    """The configs by themselves, as rows that say nothing more."""
    files = sorted({file for study in STUDIES for file in published_rows(study).values()})
    path = tmp_path_factory.mktemp('study') / 'alone.py'
    path.write_text(ALONE.format(files=files))
    return Plan(file=str(path), scale='paper', out=Path('OUT'), seeds=(0,))


@pytest.mark.parametrize('file', STUDIES)
def test_a_row_says_what_its_config_says(alone, file):
    plan = Plan(file=file, scale='paper', out=Path('OUT'), seeds=(0,))
    for name, config in published_rows(file).items():
        assert decided(plan, name) == decided(alone, config), name


def test_every_config_is_that_of_a_row_and_no_two_are_one(alone):
    named = {file for study in STUDIES for file in published_rows(study).values()}
    assert {f'ablations/{name}' for name in NAMES} <= named
    what = [str(decided(alone, file)) for file in sorted(named)]
    assert len(set(what)) == len(what) == len(NAMES) + 2  # DenseCL and RCC of it stand elsewhere
