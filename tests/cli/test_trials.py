"""Mean and deviation of several runs, from what a run leaves behind."""

import json
from pathlib import Path

import pytest

from mmdssl.cli.trials import last_scores, main, summarize


def write_run(folder: Path, *scores: float, stamp: str = '20260101_000000') -> Path:
    """A work folder as mmengine leaves it: training, a test, training, a test ..."""
    log = folder / stamp / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    lines = []
    for step, score in enumerate(scores, 1):
        lines.append(dict(lr=0.02, loss=1.5, loss_cls=0.5, time=0.1, step=step))
        lines.append({'pascal_voc/mAP': score, 'pascal_voc/AP50': score + 0.2, 'step': step})
    log.write_text('\n'.join(json.dumps(line) for line in lines) + '\n')
    return folder


def test_the_last_test_of_the_newest_log_counts(tmp_path):
    run = write_run(tmp_path / 'a', 0.1, 0.5)
    assert last_scores(run) == {'pascal_voc/mAP': 0.5, 'pascal_voc/AP50': 0.7}
    write_run(tmp_path / 'a', 0.6, stamp='20260102_000000')
    assert last_scores(run)['pascal_voc/mAP'] == 0.6


def test_mean_and_sample_deviation_by_hand():
    found = summarize([{'ap': value, 'x': 1.0} for value in (1.0, 2.0, 3.0, 4.0, 5.0)])
    assert found['ap'] == dict(mean=3.0, std=pytest.approx(2.5**0.5), min=1.0, max=5.0, trials=5)
    assert summarize([{'ap': 2.0}])['ap']['std'] == 0.0


def test_command_writes_what_it_prints(tmp_path, capsys):
    runs = [str(write_run(tmp_path / str(i), score)) for i, score in enumerate((0.5, 0.7))]
    out = tmp_path / 'trials.json'
    assert main([*runs, '--metric', 'pascal_voc/mAP', '--out', str(out)]) == 0
    found = json.loads(out.read_text())
    assert list(found) == ['pascal_voc/mAP']
    assert found['pascal_voc/mAP']['mean'] == pytest.approx(0.6)
    assert '0.6000' in capsys.readouterr().out


def test_a_run_without_a_test_is_named(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert f'{tmp_path} holds no scores of a test' in capsys.readouterr().err


def test_trials_of_different_configs_are_refused():
    with pytest.raises(ValueError, match='no score in common'):
        summarize([{'ap': 1.0}, {'miou': 1.0}])
