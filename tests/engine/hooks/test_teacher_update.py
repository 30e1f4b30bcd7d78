"""The teacher is updated once per optimizer step, and where there is one."""

import pytest

from tests.engine.toy import toy_runner


@pytest.mark.parametrize(('accumulate', 'updates'), [(1, 12), (2, 6), (5, 3)])
def test_one_update_per_optimizer_step(tmp_path, accumulate, updates):
    # 12 batches; the last step takes what is left of them.
    runner = toy_runner(tmp_path, **{'optim_wrapper.accumulative_counts': accumulate})
    runner.train()
    assert runner.model.updates == updates


def test_update_sees_the_iteration_it_belongs_to(tmp_path):
    runner = toy_runner(tmp_path, epochs=1)
    numbers = []
    runner.model.update_teacher = lambda: numbers.append(runner.model.clock.iteration)
    runner.train()
    assert numbers == [0, 1, 2]


def test_model_without_a_teacher_trains(tmp_path, monkeypatch):
    runner = toy_runner(tmp_path, epochs=1)
    monkeypatch.delattr(type(runner.model), 'update_teacher')
    runner.train()
    assert runner.iter == 3
