"""Two machines in small: two network namespaces, each with a disk of its own under the same path.

Needs the rights to make them (root on Linux, ``ip``); skipped without. The commands are those of
docs/gpu_and_cluster.md.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmdssl.datasets.scenes import SceneSpec, write_scenes
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

CONFIG = 'ibot-d_vit-micro-p16_1xb24-250i_scenes.py'
SMALL = (
    'train_dataloader.batch_size=4',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'object_knn_dataloader.num_workers=0',
    'param_scheduler.0.warmup_iters=1',
    'default_hooks.checkpoint.interval=2',
    'default_hooks.logger.interval=1',
)
HOSTS = ('10.77.0.1', '10.77.0.2')
LONG = 600  # seconds: an import takes ten on a busy core
ENVIRONMENT = dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')


class Machine:
    """A network namespace and a folder that is mounted at the same place on each of them."""

    def __init__(self, index: int, disk: Path, place: Path) -> None:
        self.index, self.disk, self.place = index, disk, place
        self.name = f'mmdssl{os.getpid()}m{index}'
        self.link = f'mm{os.getpid()}n{index}'[-15:]

    def start(
        self, nodes: int, processes: int, *options: str, changes: tuple[str, ...] = ()
    ) -> subprocess.Popen:
        """Start ``mmdssl train`` as a user does on each machine."""
        return self.call(
            *('-m', 'torch.distributed.run', '--nnodes', nodes, '--node_rank', self.index),
            *('--master_addr', HOSTS[0], '--master_port', 29500, '--nproc_per_node', processes),
            *('-m', 'mmdssl', 'train', CONFIG, '--launcher', 'pytorch', '--work-dir', 'run'),
            *options,
            *('--cfg-options', f'data_root={self.place}/data', *SMALL, *changes),
        )

    @property
    def inside(self) -> list[str]:
        """What stands before a command that is to run on it."""
        mounted = f'mount --bind {self.disk} {self.place} && cd {self.place} && exec "$@"'
        return ['ip', 'netns', 'exec', self.name, 'unshare', '-m', 'bash', '-c', mounted, '-']

    def call(self, *words: object) -> subprocess.Popen:
        """Start Python with these words on it; what it says is kept in ``console.txt``."""
        own = dict(ENVIRONMENT, GLOO_SOCKET_IFNAME=self.link)
        with (self.disk / 'console.txt').open('w') as console:
            return subprocess.Popen(
                [*self.inside, sys.executable, *map(str, words)],
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**os.environ, **own},
            )

    def die(self) -> None:
        """All its processes at once; those of a launcher have sessions of their own."""
        listed = subprocess.run(
            ['ip', 'netns', 'pids', self.name], capture_output=True, text=True, check=False
        )
        for number in map(int, listed.stdout.split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)

    @property
    def said(self) -> str:
        """All that its processes have printed."""
        return (self.disk / 'console.txt').read_text()

    def losses(self) -> list[dict]:
        """Lines of the training log, in order."""
        files = sorted((self.disk / 'run').glob('*/vis_data/scalars.json'))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def ip(*words: str) -> None:
    subprocess.run(['ip', *words], check=True, capture_output=True)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Machine]]:
    place = tmp_path / 'disk'
    place.mkdir()
    found = [Machine(index, tmp_path / f'disk{index}', place) for index in range(2)]
    try:
        for one in found:
            ip('netns', 'add', one.name)
        ip('link', 'add', found[0].link, 'type', 'veth', 'peer', 'name', found[1].link)
        for one, host in zip(found, HOSTS, strict=True):
            ip('link', 'set', one.link, 'netns', one.name)
            ip('-n', one.name, 'addr', 'add', f'{host}/24', 'dev', one.link)
            ip('-n', one.name, 'link', 'set', one.link, 'up')
            ip('-n', one.name, 'link', 'set', 'lo', 'up')
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f'no network namespaces here: {error}')
    write_scenes(tmp_path / 'data', SceneSpec(), images=32, val_images=48, workers=1)
    for one in found:
        one.disk.mkdir()
        shutil.copytree(tmp_path / 'data', one.disk / 'data')
    yield found
    for one in found:
        one.die()
        subprocess.run(['ip', 'netns', 'del', one.name], check=False)


def finish(*started: subprocess.Popen) -> list[int]:
    return [one.wait(LONG) for one in started]


def test_two_machines_train_as_one_with_as_many_processes(machines):
    length = dict(changes=('train_cfg.max_iters=4',))
    started = [one.start(2, 2, **length) for one in machines]
    assert finish(*started) == [0, 0], machines[0].said[-3000:] + machines[1].said[-3000:]
    assert not list((machines[1].disk / 'run').glob('*.pth')), 'only the first one writes'
    two = torch.load(machines[0].disk / 'run/iter_4.pth', weights_only=False)['state_dict']
    scores = [line['oknn/top1'] for line in machines[0].losses() if 'oknn/top1' in line]
    (machines[0].disk / 'run').rename(machines[0].disk / 'of_two')
    assert finish(machines[0].start(1, 4, **length)) == [0], machines[0].said
    one = torch.load(machines[0].disk / 'run/iter_4.pth', weights_only=False)['state_dict']
    assert all(torch.allclose(one[name], two[name], rtol=1e-4, atol=1e-6) for name in one)
    assert scores == pytest.approx(
        [line['oknn/top1'] for line in machines[0].losses() if 'oknn/top1' in line], abs=5
    )
    assert scores


def test_a_machine_that_dies_ends_the_run_which_goes_on_without_it(machines):
    first, second = (one.start(2, 1, changes=('train_cfg.max_iters=2000',)) for one in machines)
    waiting = time.monotonic() + LONG
    while not (machines[0].disk / 'run/last_checkpoint').exists():
        assert time.monotonic() < waiting, machines[0].said
        assert first.poll() is None, machines[0].said
        time.sleep(0.5)
    machines[1].die()
    assert first.wait(LONG) != 0
    second.wait(LONG)
    assert 'error: another process of this run is gone' in machines[0].said
    assert 'Traceback' not in machines[0].said.partition('another process')[0]
    done = max(int(one.stem[5:]) for one in (machines[0].disk / 'run').glob('iter_*.pth'))
    more = (f'train_cfg.max_iters={done + 2}',)
    assert finish(machines[0].start(1, 1, '--resume', changes=more)) == [0], machines[0].said[
        -3000:
    ]
    assert (machines[0].disk / f'run/iter_{done + 2}.pth').exists()
    steps = [line['step'] for line in machines[0].losses() if 'loss' in line]
    assert steps[-2:] == [done + 1, done + 2]


def test_two_machines_search_a_part_each_and_one_puts_them_together(machines):
    """Without a common folder: the journal of the other one is copied, whoever copies it."""
    pytest.importorskip('numba')
    search = ('-m', 'mmdssl', 'proposals', 'data/train', 'found.npz', '--workers', 1)
    started = [one.call(*search, '--shard', f'{one.index}/2') for one in machines]
    assert finish(*started) == [0, 0], machines[0].said + machines[1].said
    first, second = (one.disk / 'found.npz.parts' for one in machines)
    assert sorted(one.name for one in first.glob('*.part')) == ['0-of-2.part']
    assert finish(machines[0].call(*search, '--merge')) == [2]
    assert '16 of 32 images have not been searched yet' in machines[0].said
    shutil.copy(second / '1-of-2.part', first)
    assert finish(machines[0].call(*search, '--merge')) == [0], machines[0].said
    alone = [word if word != 'found.npz' else 'alone.npz' for word in search]
    assert finish(machines[1].call(*alone)) == [0], machines[1].said
    wanted = (machines[1].disk / 'alone.npz').read_bytes()
    assert (machines[0].disk / 'found.npz').read_bytes() == wanted
    assert not first.exists()


# What SLURM's commands do for submitit: a job is a task on a node for each place.
_SBATCH = r"""#!{python}
import json, os, re, subprocess, sys
text = open(sys.argv[1]).read()
asked = dict(re.findall(r'#SBATCH --(\S+)=(\S+)', text))
nodes, tasks = int(asked['nodes']), int(asked['ntasks-per-node'])
machines = json.load(open({machines!r}))
assert nodes == len(machines), asked
for node, machine in enumerate(machines):
    for local in range(tasks):
        own = dict(
            SLURM_JOB_ID='7', SLURM_NTASKS=nodes * tasks, SLURM_JOB_NUM_NODES=nodes,
            SLURM_NODEID=node, SLURM_LOCALID=local, SLURM_PROCID=node * tasks + local,
            SLURM_JOB_NODELIST=','.join(one['host'] for one in machines),
            GLOO_SOCKET_IFNAME=machine['link'],
        )
        own = {{key: str(value) for key, value in own.items()}}
        subprocess.Popen(
            [*machine['inside'], 'bash', sys.argv[1]], env={{**os.environ, **own}},
            stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True,
        )
print('Submitted batch job 7')
"""
_SRUN = """#!/bin/bash
while [[ $1 == -* ]]; do
  [[ $1 == --output ]] && { out=$2; shift; }
  shift
done
out=${out//%j/$SLURM_JOB_ID}
exec "$@" > "${out//%t/$SLURM_PROCID}" 2>&1
"""
_SACCT = "#!/bin/bash\nprintf 'JobID|State|NodeList\\n7|RUNNING|two\\n'\n"


def test_a_run_of_a_study_has_two_processes_on_each_of_two_machines(machines, tmp_path):
    """As SLURM starts it, in a folder that both share; equal to four on one machine."""
    tools = tmp_path / 'bin'
    tools.mkdir()
    known = tmp_path / 'machines.json'
    known.write_text(
        json.dumps(
            [
                dict(host=host, link=one.link, inside=one.inside)
                for one, host in zip(machines, HOSTS, strict=True)
            ]
        )
    )
    sbatch = _SBATCH.format(python=sys.executable, machines=str(known))
    for name, text in dict(sbatch=sbatch, srun=_SRUN, sacct=_SACCT).items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    folders = {}
    for executor, places in (('slurm', ['nodes=2']), ('local', [])):
        out = tmp_path / executor
        words = ['mind_your_augmentation/table_10', '--scale', 'smoke', '--rows', 'DenseCL']
        words += ['--seeds', '0', '--measures', '--processes', '4', '--out', str(out)]
        words += ['--executor', executor, *(['--set', *places] if places else [])]
        done = subprocess.run(
            [sys.executable, '-m', 'mmdssl', 'study', *words],
            env={**os.environ, **ENVIRONMENT, 'PATH': f'{tools}:{os.environ["PATH"]}'},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )
        said = [path.read_text()[-2000:] for path in out.rglob('jobs/*.out')]
        assert done.returncode == 0, done.stdout + done.stderr + ''.join(said)
        (file,) = out.rglob('done.json')
        folders[executor] = file.parent
    assert len(list((folders['slurm'] / 'jobs').glob('7_*_log.out'))) == 4
    one, two = (
        torch.load(folders[name] / 'iter_2.pth', weights_only=False)['state_dict']
        for name in ('local', 'slurm')
    )
    assert all(torch.allclose(one[name], two[name], rtol=1e-4, atol=1e-6) for name in one)
    lines = {
        name: [json.loads(line) for line in (folder / 'measurements.jsonl').open()]
        for name, folder in folders.items()
    }
    assert [line['iter'] for line in lines['slurm']] == [line['iter'] for line in lines['local']]
