"""Which run may start: those without a teacher, and those whose teacher is done."""

import dataclasses
import json

import pytest

from mmdssl.miniature.plan import Run
from mmdssl.miniature.runs import Failure, _ready, _take_orphans, run_all
from tests.miniature.test_recipe import plan_of


@pytest.fixture
def plan(tmp_path):
    return plan_of(tmp_path)


def run(plan, name, seed=11):
    return Run(plan=plan, name=name, seed=seed)


def finish(run):
    run.folder.mkdir(parents=True)
    (run.folder / 'settings.json').write_text(json.dumps(run.settings()))
    (run.folder / 'done.json').write_text('{}')


def test_a_run_waits_for_the_teacher_of_its_own_seed(plan):
    waiting = [run(plan, 'leopart', 12), run(plan, 'maskalign')]
    assert _ready(waiting) is None
    assert _ready([*waiting, run(plan, 'densecl')]) == 2
    finish(run(plan, 'ibot', 11))
    assert _ready(waiting) == 1
    finish(run(plan, 'ibot', 12))
    assert _ready(waiting) == 0
    assert _ready([]) is None


def test_a_failed_teacher_takes_its_pupils_along(plan):
    waiting = [run(plan, 'leopart'), run(plan, 'leopart', 12), run(plan, 'densecl')]
    failures = _take_orphans(waiting, Failure(run(plan, 'ibot'), 3, 'no memory'))
    assert [(f.run.name, f.run.seed, f.code) for f in failures] == [('leopart', 11, 3)]
    assert 'needs the network of ibot, seed 11' in failures[0].words
    assert [(r.name, r.seed) for r in waiting] == [('leopart', 12), ('densecl', 11)]


def test_a_plan_without_the_teacher_is_refused(plan):
    alone = dataclasses.replace(plan, arms=('leopart',))
    with pytest.raises(ValueError, match='leopart needs the run of ibot: add that arm'):
        run_all(alone, progress=False)
