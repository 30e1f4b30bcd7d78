"""Runs in which steps are not finite: they go on, or end with a sentence, a dump, a good state."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.hooks import Hook

from mmdssl.core.reading import load_checkpoint_file
from mmdssl.engine.finite.late import LateValues
from mmdssl.engine.finite.records import image_names, replay
from mmdssl.engine.finite.stopping import TrainingNotFinite
from mmdssl.engine.hooks.checkpoint import train_and_keep
from mmdssl.engine.hooks.finite_step import FiniteStepHook
from mmdssl.engine.interruption import TrainingStopped
from mmdssl.engine.launch import leave_process_group, train
from mmdssl.engine.local_runner import local_runner
from tests.engine.toy import Recorder, assert_same_state, state_of, toy_config, toy_runner
from tests.ranks import join_as_launched


class BadImages(Hook):
    """One value of these batches becomes NaN; what the state was before the first of them."""

    priority = 'HIGHEST'

    def __init__(self, *iterations: int, also: object = None) -> None:
        self.iterations, self.also = iterations, also
        self.before: dict[str, torch.Tensor] = {}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter not in self.iterations:
            return
        if not self.before:
            self.before = {name: value.clone() for name, value in state_of(runner).items()}
        data_batch['inputs'][1, 2] = torch.nan
        if callable(self.also):
            self.also(runner)


def not_finite(path: Path) -> list[str]:
    checkpoint = torch.load(path, weights_only=True)
    tensors = dict(checkpoint['state_dict'])
    for number, state in checkpoint['optimizer']['state'].items():
        tensors.update({f'{number}.{name}': value for name, value in state.items()})
    return [n for n, v in tensors.items() if v.is_floating_point() and not v.isfinite().all()]


def entries(folder: Path) -> list[dict]:
    lines = (folder / 'not_finite/steps.jsonl').read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_run_goes_on_after_a_bad_step_and_tells_of_it(tmp_path, capsys):
    recorder = Recorder()
    runner = toy_runner(tmp_path, hooks=(BadImages(4), recorder))
    train_and_keep(runner)
    assert runner.iter == 12
    assert not_finite(tmp_path / 'epoch_4.pth') == []
    said = capsys.readouterr().out
    assert 'iteration 5: not finite (loss nan, buffers that' in said
    assert '1 in a row, 1 in this run' in said
    (entry,) = entries(tmp_path)
    assert entry['images'] == [f'sample {index}' for index in recorder.seen[4]]
    hub = torch.load(tmp_path / 'epoch_4.pth', weights_only=True)['message_hub']
    assert hub['runtime_info']['steps_taken_back'] == 1


def test_the_count_goes_on_in_a_resumed_run(tmp_path):
    toy_runner(tmp_path, epochs=2, hooks=(BadImages(4),)).train()
    runner = toy_runner(tmp_path, resume=tmp_path / 'epoch_2.pth', hooks=(BadImages(7),))
    runner.train()
    assert runner.message_hub.get_info('steps_taken_back') == 2


def test_a_healthy_run_is_bit_equal_to_one_without_the_hook(tmp_path):
    watched = toy_runner(tmp_path / 'a')
    watched.train()
    plain = toy_runner(tmp_path / 'b')
    plain._hooks = [hook for hook in plain.hooks if not isinstance(hook, FiniteStepHook)]
    plain.train()
    assert_same_state(watched, plain)
    histories = [r.message_hub.get_scalar('train/loss').data[0].tolist() for r in (watched, plain)]
    assert histories[0] == histories[1]
    assert not (tmp_path / 'a/not_finite').exists()


def test_some_in_a_row_end_the_run_and_leave_the_state_from_before_them(tmp_path, capsys):
    faults, recorder = BadImages(4, 5, 6), Recorder()
    runner = toy_runner(tmp_path, hooks=(faults, recorder))
    with pytest.raises(TrainingNotFinite) as ended:
        train(runner)
    assert str(ended.value.code).startswith('error: 3 steps in a row were not finite')
    assert 'iteration 7' in ended.value.sentence
    assert 'Traceback' not in capsys.readouterr().err
    assert len(recorder.seen) == 7

    newest = Path((tmp_path / 'last_checkpoint').read_text())
    assert not_finite(newest) == []
    resumed = toy_runner(tmp_path, resume=newest)
    resumed.load_or_resume()
    for name, value in resumed.model.state_dict().items():
        assert torch.equal(value, faults.before[name]), name

    dump = load_checkpoint_file(tmp_path / 'not_finite/iter_7_rank0.pth')
    facts = json.loads((tmp_path / 'not_finite/iter_7_rank0.json').read_text())
    assert facts['images'] == [f'sample {index}' for index in recorder.seen[6]]
    assert facts['gradient_norms']['backbone.0'] == 'nan'
    assert facts['state_norms']['backbone.0'] > 0
    assert dump['iteration'] == 6
    (losses,) = replay(resumed.model.train(), dump)
    assert not torch.tensor(losses['loss']).isfinite()


def test_others_in_between_end_nothing(tmp_path):
    runner = toy_runner(tmp_path, hooks=(BadImages(2, 3, 5, 6, 8, 9),))
    runner.train()
    assert runner.message_hub.get_info('steps_taken_back') == 6


def test_patience_is_a_setting(tmp_path):
    settings = {'default_hooks.finite.patience': None}
    runner = toy_runner(tmp_path / 'a', hooks=(BadImages(*range(2, 11)),), **settings)
    runner.train()
    assert runner.iter == 12
    settings = {'default_hooks.finite.patience': 1}
    with pytest.raises(TrainingNotFinite, match='1 steps in a row'):
        toy_runner(tmp_path / 'b', hooks=(BadImages(2),), **settings).train()
    with pytest.raises(ValueError, match='patience=0'):
        FiniteStepHook(patience=0)


@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_a_bad_step_saves_the_state_from_before_it(tmp_path, signum):
    def stop(runner):
        os.kill(os.getpid(), signum)

    faults = BadImages(4, also=stop)
    with pytest.raises(TrainingStopped):
        train_and_keep(toy_runner(tmp_path, hooks=(faults,)))
    checkpoint = torch.load(tmp_path / 'interrupted.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == 5
    for name, value in checkpoint['state_dict'].items():
        assert torch.equal(value, faults.before[name]), name


def test_a_failure_within_a_step_saves_no_buffer_of_it(tmp_path):
    kept: dict = {}
    runner = toy_runner(tmp_path)

    def remember(runner):
        kept.update({name: value.clone() for name, value in state_of(runner).items()})

        def fail(loss):
            assert not torch.equal(runner.model.center, kept['center'])  # the forward pass is over
            raise RuntimeError('out of memory')

        runner.optim_wrapper.scale_loss = fail

    runner.register_hook(Recorder(at=4, action=remember))
    with pytest.raises(RuntimeError, match='out of memory'):
        train_and_keep(runner)
    checkpoint = torch.load(tmp_path / 'interrupted.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == 4
    for name, value in checkpoint['state_dict'].items():
        assert torch.equal(value, kept[name]), name


def poison(runner):
    """Weights become NaN behind the guard's back."""
    with torch.no_grad():
        runner.model.backbone[0].weight.fill_(torch.nan)


def test_a_state_that_is_not_finite_is_never_written(tmp_path):
    """Whatever made it so: the run ends, and the only good checkpoint stays."""
    keep = {'default_hooks.checkpoint.max_keep_ckpts': 1, 'default_hooks.finite.patience': None}
    runner = toy_runner(tmp_path, hooks=(Recorder(at=4, action=poison),), **keep)
    with pytest.raises(TrainingNotFinite, match=r'after iteration 6 .*backbone\.0\.weight'):
        train_and_keep(runner)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_1.pth')
    assert not_finite(tmp_path / 'epoch_1.pth') == []


def test_nor_is_it_on_ctrl_c(tmp_path):
    def stop(runner):
        poison(runner)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingNotFinite, match='is not saved'):
        train_and_keep(toy_runner(tmp_path, hooks=(Recorder(at=4, action=stop),)))
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']


def test_a_scaler_that_looks_for_its_scale_ends_no_run(tmp_path):
    runner = toy_runner(tmp_path, **{'optim_wrapper.type': 'AmpPerParamClipOptimWrapper'} | BF16)
    scaler = torch.amp.GradScaler('cpu', init_scale=2.0**140 / 2**13)  # 2**127: overflows at first

    def install(runner):
        runner.optim_wrapper.loss_scaler = scaler

    runner.register_hook(_Before(install))
    runner.train()
    taken = runner.message_hub.get_info('steps_taken_back')
    assert taken >= 4
    assert scaler.get_scale() == 2.0 ** (127 - taken)
    assert not (tmp_path / 'not_finite').exists()


BF16 = {'optim_wrapper.dtype': 'bfloat16'}


class _Before(Hook):
    priority = 'HIGHEST'

    def __init__(self, action) -> None:
        self.action = action

    def before_train(self, runner):
        self.action(runner)


def test_a_scaler_at_its_end_does_end_it(tmp_path):
    runner = toy_runner(
        tmp_path,
        hooks=(BadImages(4, 5, 6),),
        **{'optim_wrapper.type': 'AmpPerParamClipOptimWrapper'} | BF16,
    )

    def install(runner):
        runner.optim_wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=16.0)

    runner.register_hook(_Before(install))
    with pytest.raises(TrainingNotFinite):
        train_and_keep(runner)


def test_every_run_of_the_tools_is_watched(tmp_path):
    def watched(config):
        return [h for h in local_runner(config).hooks if isinstance(h, FiniteStepHook)]

    config = toy_config(tmp_path)
    assert len(watched(config)) == 1
    del config.default_hooks['finite']
    assert len(watched(config)) == 1
    config.default_hooks['finite'] = None
    assert watched(config) == []


# ---- two processes -----------------------------------------------------------------------------


def one_of_two(rank: int, rendezvous: str, folder: str, last: int) -> None:
    torch.set_num_threads(1)
    join_as_launched(rank, rendezvous)
    wrapper = dict(type='MMDistributedDataParallel', device_ids=None)
    faults = BadImages(*(range(1, last + 1) if rank == 1 else ()))
    runner = toy_runner(
        folder,
        hooks=(faults, Recorder()),
        launcher='pytorch',
        model_wrapper_cfg=wrapper,
        **{'train_dataloader.batch_size': 2},
    )
    try:
        train(runner)
        leave_process_group(runner)
    except TrainingNotFinite as ended:
        Path(folder, f'ended{rank}').write_text(ended.sentence)
    torch.save(state_of(runner), Path(folder, f'rank{rank}.pt'))


@pytest.mark.parametrize('last', [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_bad_image_of_one_process_is_a_bad_step_of_both(tmp_path, last):
    mp.spawn(one_of_two, args=(str(tmp_path / 'rendezvous'), str(tmp_path), last), nprocs=2)
    one, two = (torch.load(tmp_path / f'rank{rank}.pt', weights_only=True) for rank in range(2))
    assert all(value.isfinite().all() for value in (*one.values(), *two.values()))
    assert len(entries(tmp_path)) == last
    assert len(entries(tmp_path)[0]['images']) == 2  # of the process whose loss was bad
    assert (tmp_path / 'ended0').exists() == (tmp_path / 'ended1').exists() == (last == 3)
    if last == 3:
        assert {p.name for p in (tmp_path / 'not_finite').glob('*.pth')} == {
            'iter_4_rank0.pth',
            'iter_4_rank1.pth',
        }
        assert not_finite(Path((tmp_path / 'last_checkpoint').read_text())) == []


# ---- parts -------------------------------------------------------------------------------------


def test_images_are_named_by_what_the_batch_has():
    class Sample(dict):
        pass

    samples = [Sample(img_path='a.jpg'), Sample(sample_idx=4)]
    assert image_names(dict(data_samples=samples)) == ['a.jpg', 'sample 4']
    assert image_names(dict(img_path=['b.jpg'])) == ['b.jpg']
    assert image_names(dict(index=torch.tensor([3, 1]))) == ['sample 3', 'sample 1']
    assert image_names(dict(inputs=torch.zeros(2))) == []
    assert image_names(torch.zeros(2)) == []


def test_values_of_host_memory_are_due_at_once():
    late = LateValues(delay=2)
    late.put(torch.tensor([1.0, 2.0]), 'a')
    assert late.due() == [([1.0, 2.0], 'a')]
    assert late.due() == []
