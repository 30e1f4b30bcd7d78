"""Which runs may start, what goes to a job, and a study that goes on where it stopped."""

import dataclasses
import json
import multiprocessing
import threading
from pathlib import Path

import pytest

from mmdssl.cli.study import main
from mmdssl.core import jobs
from mmdssl.studies import launch
from mmdssl.studies.afterwards import _in_percent, _transfer
from mmdssl.studies.launch import Failure, _ready, _take_orphans, run_all
from mmdssl.studies.run import Run
from tests.conftest import ROOT
from tests.studies.test_recipe import SMALL, plan_of


@pytest.fixture(scope='module')
def plan(tmp_path_factory):
    return plan_of(tmp_path_factory.mktemp('launch'))


def run(plan, name, seed=11):
    return Run(plan=plan, name=name, seed=seed)


def waiting(plan, *runs):
    return {one.folder: one for one in (run(plan, *words) for words in runs)}


def finish(one):
    one.folder.mkdir(parents=True)
    (one.folder / 'done.json').write_text('{}')


def test_a_run_waits_for_the_teacher_of_its_own_seed(plan):
    pupils = waiting(plan, ('leopart', 12), ('maskalign', 11))
    assert _ready(pupils) == []
    assert _ready(pupils | waiting(plan, ('densecl', 11))) == [run(plan, 'densecl')]
    finish(run(plan, 'ibot', 11))
    assert _ready(pupils) == [run(plan, 'maskalign')]


def test_a_failed_teacher_takes_its_pupils_along(plan):
    left = waiting(plan, ('leopart', 11), ('leopart', 12), ('densecl', 11))
    failures = _take_orphans(left, run(plan, 'ibot'))
    assert [(f.run.name, f.run.seed) for f in failures] == [('leopart', 11)]
    assert 'needs the network of ibot, seed 11' in failures[0].words
    assert [(r.name, r.seed) for r in left.values()] == [('leopart', 12), ('densecl', 11)]


def test_a_job_is_its_run_and_nothing_but_text(plan, monkeypatch):
    """What submitit starts elsewhere; on SLURM a job whose time is up starts again as it was."""
    made = []
    monkeypatch.setattr(launch, 'execute', made.append)
    wanted = dataclasses.replace(plan, iters=3, measured=('position', 'cost'))
    words = json.dumps(dataclasses.asdict(wanted), default=str), 'ibot-d', '12'
    launch.Job()(*words)
    assert made[0].folder == Run(plan=wanted, name='ibot-d', seed=12).folder
    assert made[0].plan.measures == ('position', 'cost')
    again = launch.Job().checkpoint(*words)
    assert again.args == words
    again.result()
    assert made[1].folder == made[0].folder


def test_slurm_gets_the_processes_of_the_paper(tmp_path, monkeypatch):
    """One task a GPU, as many as the config is named by, on nodes of eight."""
    import submitit

    asked = []

    class Executor:
        def __init__(self, folder, cluster):
            self.folder, self.cluster = folder, cluster

        def update_parameters(self, **parameters):
            asked.append((self.cluster, parameters))

        def submit(self, job, *words):
            assert all(isinstance(word, str) for word in words)

    monkeypatch.setattr(submitit, 'AutoExecutor', Executor)
    soco = run(plan_of(tmp_path, 'mind_your_augmentation/table_6', 'paper'), 'SoCo', 0)
    launch._submit(soco, 'slurm', {'slurm_partition': 'gpu', 'timeout_min': 30})
    cluster, parameters = asked[0]
    assert cluster == 'slurm'
    wanted = dict(nodes=2, tasks_per_node=8, gpus_per_node=8, timeout_min=30)
    assert wanted.items() <= parameters.items()
    assert parameters['slurm_partition'] == 'gpu'


def test_places_are_those_that_are_asked_for_and_have_to_fit(tmp_path):
    soco = run(plan_of(tmp_path, 'mind_your_augmentation/table_6', 'paper'), 'SoCo', 0)
    assert soco.processes == 16
    asked = launch._places(soco, 'slurm', {'nodes': 4})
    assert asked == dict(nodes=4, tasks_per_node=4)
    assert launch._places(soco, 'local', {}) == dict(nodes=1, tasks_per_node=16)
    with pytest.raises(ValueError, match='nodes=3, 5 processes on each: SoCo has 16'):
        launch._places(soco, 'slurm', {'nodes': 3})
    with pytest.raises(ValueError, match=r'nodes=2, 4 processes on each'):
        launch._places(soco, 'slurm', {'nodes': 2, 'tasks_per_node': 4})
    with pytest.raises(ValueError, match='local has this machine alone; runs on several are jobs'):
        run_all(soco.plan, executor='local', parameters={'nodes': 2})


def test_a_study_runs_and_goes_on(tmp_path, capsys):
    """The smoke of one row, in this process: data, run, tables, figure; then nothing is left."""
    words = ['mind_your_augmentation/table_10', '--scale', 'smoke', '--rows', 'DenseCL']
    words += ['--seeds', '0', '--executor', 'debug', '--measures', 'cost', '--out', str(tmp_path)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert 'DenseCL: mean' in text
    assert '67.5 | ' in text
    folder = tmp_path / 'table_10-smoke'
    for name in ('measurements.csv', 'tables.csv', 'published.csv', 'tradeoff.png'):
        assert (folder / name).stat().st_size
    study = json.loads((folder / 'study.json').read_text())
    assert 'cost/ms' in {number['metric'] for number in study['numbers']}
    own = tmp_path / study['runs']['DenseCL/seed-0']['folder']
    lines = (own / 'measurements.jsonl').read_text().splitlines()
    assert [json.loads(line)['iter'] for line in lines] == [0, 1, 2]

    # As a kill after the last iteration would leave it: nothing is trained or measured again.
    (own / 'done.json').unlink()
    (own / 'cost.json').unlink()
    stamp = (own / 'iter_2.pth').stat().st_mtime_ns
    assert main(words) == 0
    assert (own / 'iter_2.pth').stat().st_mtime_ns == stamp
    assert (own / 'measurements.jsonl').read_text().splitlines() == lines


class ForkingJob(launch.Job):
    """Forks before its run, and ends the process by SIGTERM: mmdet scores VOC with such a pool."""

    def __call__(self, *words):
        execute = launch.execute

        def fork_and_execute(run):
            child = multiprocessing.get_context('fork').Process(target=threading.Event().wait)
            child.start()
            child.terminate()
            child.join(20)
            (run.folder / 'exitcode').write_text(str(child.exitcode))
            child.kill()  # one that passes over SIGTERM would keep the job as well
            execute(run)

        launch.execute = fork_and_execute  # in the job's process
        super().__call__(*words)


def test_local_jobs_measure_what_a_finished_run_lacks(tmp_path, monkeypatch):
    """A process of submitit, which gets text alone and says what it says into the run's folder."""
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.setattr(launch, 'Job', ForkingJob)
    plan = plan_of(tmp_path, names=('densecl',), measured=('cost',))
    one = run(plan, 'densecl')
    finish(one)
    log = one.folder / 'x' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    times = enumerate((0.1, 0.3, 0.2), 5)
    log.write_text('\n'.join(json.dumps(dict(time=time, step=step)) for step, time in times))
    assert run_all(plan, progress=False) == []
    cost = json.loads((one.folder / 'cost.json').read_text())
    assert cost == {'cost/ms': 200, 'cost/hours': pytest.approx(200 * 7 / 3.6e6)}
    assert list((one.folder / 'jobs').glob('*_log.out'))
    assert (one.folder / 'exitcode').read_text() == '-15'


def test_scores_of_detectors_are_percent_as_published():
    scores = {'coco/bbox_mAP': 0.387, 'coco/bbox_mAP_l': -1.0}
    assert _in_percent(scores, 'mmdet') == {'transfer/coco/bbox_mAP': pytest.approx(38.7)}
    assert _in_percent({'mIoU': 39.9}, 'mmseg') == {'transfer/mIoU': 39.9}


def test_fine_tuning_has_the_batch_that_its_rate_fits_on_the_processes_of_the_run(
    tmp_path, monkeypatch
):
    """SoCo pre-trains on 16; its detector is an 8xb2."""
    pytest.importorskip('mmcv._ext', reason='mmdet needs compiled ops')

    class SeenError(Exception):
        pass

    def stop(config):
        raise SeenError(config)

    monkeypatch.setattr('mmdssl.engine.launch.prepare_config', lambda config, launcher: config)
    monkeypatch.setattr('mmdssl.engine.launch.build_runner', stop)
    soco = run(plan_of(tmp_path, 'mind_your_augmentation/table_6', 'paper'), 'SoCo', 0)
    (judge,) = soco.setting.judges
    folder = soco.folder / f'transfer-{Path(judge).stem}'
    folder.mkdir(parents=True)
    (folder / 'backbone.pth').touch()
    with pytest.raises(SeenError) as seen:
        _transfer(soco, judge)
    (config,) = seen.value.args
    batch = soco.processes * config.train_dataloader.batch_size
    assert batch == config.auto_scale_lr.base_batch_size == 16


@pytest.mark.slow
def test_the_miniature_measures_what_it_measured(tmp_path):
    """By local jobs. Numbers of the untrained network: those of the engine before this one."""
    words = [SMALL, '--rows', 'densecl', '--seeds', '11', '--out', str(tmp_path)]
    assert main(words) == 0
    file = next(tmp_path.glob('runs/*/seed-11/measurements.jsonl'))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line['iter'] for line in lines] == [0, 1, 2, 4, 5]
    before = {
        'bg_self/last/centred': 0.5609603729101239,
        'cr_inter/last/mean': 0.9593805717726163,
        'cr_intra/last/mean': 0.016555844641317912,
    }
    assert {key: lines[0][key] for key in before} == pytest.approx(before, rel=1e-3)


def test_a_failed_run_is_reported_and_the_others_go_on(tmp_path, monkeypatch):
    plan = plan_of(tmp_path, names=('ibot', 'densecl', 'leopart'))

    class Done:
        def __init__(self, one):
            self.one = one

        def done(self):
            return True

        def stdout(self):
            return 'first\nerror: no memory\n'

    def submit(one, executor, parameters):
        if one.name != 'ibot':
            finish(one)
            (one.folder / 'cost.json').write_text('{}')
        return Done(one)

    monkeypatch.setattr(launch, '_submit', submit)
    monkeypatch.setattr(jobs, '_POLL', 0)
    failures = run_all(plan, progress=False)
    assert failures[0] == Failure(run(plan, 'ibot'), 'first\nerror: no memory')
    assert [failure.run.name for failure in failures] == ['ibot', 'leopart']
    assert launch.is_done(run(plan, 'densecl'))


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['nowhere'], 'no study nowhere'),
        ([SMALL, '--rows', 'byol'], "no row 'byol'"),
        ([SMALL, '--scale', 'toy'], "no scale 'toy': choose from paper"),
        ([SMALL, '--scale', 'paper'], 'has no row at scale'),
        ([SMALL, '--measures', 'speed', '--dry-run'], "no measure 'speed'"),
        ([SMALL, '--rows', 'ibot', '--set', 'timeout'], 'give KEY=VALUE'),
    ],
)
def test_wrong_input_is_one_sentence(tmp_path, capsys, words, sentence):
    assert main([*words, '--out', str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert 'Traceback' not in error


def test_dry_run_says_what_would_run(tmp_path, capsys):
    words = ['mind_your_augmentation/table_6', '--scale', 'photos-gpu', '--dry-run']
    assert main([*words, '--out', str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert 'iBOT-RCC  3000 iters, 0 of 3 seeds done' in text
    assert 'SoCo-RCC  has no setting at this scale' in text
    assert not any(tmp_path.iterdir())
