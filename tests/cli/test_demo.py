"""The demo runs end to end, goes on after an interruption and reports what it measured."""

import json

import pytest

from mmdssl.cli.demo import main, make_config, parse_arguments, partner_of, remember, scores

PICTURES = ('masks', 'views', 'xd', 'curves', 'affinity')


def test_config_is_shortened_in_proportion_and_reads_the_given_scenes(tmp_path):
    options = parse_arguments(['--iters', '30', '--data-root', str(tmp_path), '--work-dir', 'w'])
    config = make_config(options)
    assert config.train_cfg.max_iters == 30
    assert [scheduler.end for scheduler in config.param_scheduler] == [30]
    assert config.param_scheduler[0].warmup_iters == 4
    knn = next(hook for hook in config.custom_hooks if hook.type == 'ObjectKNNHook')
    assert knn.initial
    assert knn.interval == 10
    assert config.train_dataloader.dataset.data_root == f'{tmp_path}/train/'
    assert config.object_knn_dataloader.dataset.data_root == f'{tmp_path}/'
    assert not config.resume


def test_published_length_leaves_the_schedule_as_it_is():
    config = make_config(parse_arguments(['--seed', '3']))
    assert config.train_cfg.max_iters == 150
    assert config.param_scheduler[0].warmup_iters == 20
    assert config.param_scheduler[0].end == 150
    assert config.randomness.seed == 3


def test_partner_differs_by_the_branch_alone():
    options = parse_arguments([])
    plain = make_config(parse_arguments(['--config', str(partner_of(options.config))]))
    config = make_config(options)
    assert config.model.pop('decoupling')
    assert config.model == plain.model
    for name in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'object_knn_dataloader'):
        assert config[name] == plain[name], name
    steps = config.train_dataloader.dataset.pipeline[1].pipelines[0]
    assert steps[:2] == plain.train_dataloader.dataset.pipeline[1].pipelines[0]
    assert {step.get('stream') for step in steps[2:]} == {'dc'}  # draws of their own: same crops
    assert partner_of(partner_of(options.config)) is None


def test_run_of_other_settings_is_not_continued(tmp_path):
    first = ['--work-dir', str(tmp_path), '--iters', '5']
    remember(parse_arguments(first))
    remember(parse_arguments(first))
    with pytest.raises(ValueError, match='other settings'):
        remember(parse_arguments(['--work-dir', str(tmp_path), '--iters', '6']))
    remember(parse_arguments(['--work-dir', str(tmp_path), '--iters', '6', '--fresh']))


def test_scores_need_the_random_net(tmp_path):
    file = tmp_path / 'object_knn.jsonl'
    file.write_text('{"iter": 0, "epoch": 0, "seconds": 1, "oknn/top1": 5.0}\n')
    with pytest.raises(ValueError, match='--fresh'):
        scores(tmp_path)
    with file.open('a') as more:
        more.write('{"iter": 9, "epoch": 0, "seconds": 1, "oknn/top1": 6.0}\n')
    assert scores(tmp_path) == {'random': {'oknn/top1': 5.0}, 'pretrained': {'oknn/top1': 6.0}}


def test_senseless_arguments_are_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(['--images', '0'])
    assert '--images 0 must be at least 1' in capsys.readouterr().err


@pytest.mark.slow
def test_demo_runs_and_runs_again(tmp_path, capfd):
    out = tmp_path / 'demo'
    # CouplingHook measures an object of each of 32 validation images.
    command = ['--data-root', str(tmp_path / 'data'), '--images', '40', '--val-images', '32']
    command += ['--iters', '3', '--work-dir', str(out)]
    assert main(command) == 0
    shown = capfd.readouterr().out
    assert 'Iter(train) [3/3]' in shown
    assert 'O-KNN-D, top-1' in shown
    measured = json.loads((out / 'metrics.json').read_text())
    assert measured['iterations'] == 3
    assert set(measured['plain']) == set(measured['pretrained'])
    assert scores(out / 'plain')['random'] == measured['random']  # the same start
    assert 0 < measured['random']['oknn/top1'] <= 100
    assert set(measured['random']) == set(measured['pretrained'])
    page = (out / 'report.html').read_text()
    assert page.count('data:image/png;base64,') == len(PICTURES)
    assert str(tmp_path) not in page
    assert all((out / f'{name}.png').stat().st_size > 10_000 for name in PICTURES)

    assert main(command) == 0  # nothing left to train: the same numbers, drawn again
    again = json.loads((out / 'metrics.json').read_text())
    assert again['pretrained'] == measured['pretrained']
    assert again['random'] == measured['random']
    assert 'Iter(train)' not in capfd.readouterr().out
