"""Parts by jobs: the proposals of one process, in one file or one a part, after faults as well."""

import json
import multiprocessing

import numpy as np
import pytest

from mmdssl.cli.proposals import main
from mmdssl.core import jobs as submitted
from mmdssl.datasets.proposals import jobs
from mmdssl.datasets.proposals.filters import ProposalFilter
from mmdssl.datasets.proposals.making import make_proposals
from mmdssl.datasets.proposals.part_files import PartedStore, open_proposals, part_file
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.datasets.proposals.store import ProposalStore
from mmdssl.datasets.transforms.loading import LoadImage
from mmdssl.datasets.transforms.proposals import LoadProposals
from tests.datasets.proposals.photos import folder_of_photos

# Pictures of 96 pixels: the whole of each is its proposal, and nothing is searched.
QUICK = ['--workers', '1', '--min-side', '96']
SETTINGS = ProposalSettings(filter=ProposalFilter(min_side=96.0))


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return folder_of_photos(tmp_path_factory.mktemp('jobs') / 'images', 5)


@pytest.fixture(scope='module')
def one(images, tmp_path_factory):
    out = tmp_path_factory.mktemp('one') / 'one.npz'
    make_proposals(images, out, SETTINGS, progress=False)
    return ProposalStore.open(out)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(submitted, '_POLL', 0.02)


def by_jobs(images, out, *words, executor='debug'):
    return main([str(images), str(out), *QUICK, '--executor', executor, '--parts', '2', *words])


@pytest.mark.slow
def test_local_jobs_search_what_one_process_does(images, tmp_path, capsys):
    """With the real search, by processes of submitit."""
    pytest.importorskip('numba')
    words = [str(images), str(tmp_path / 'jobs.npz'), '--workers', '1']
    assert main([*words, '--executor', 'local', '--parts', '2', '--jobs', '2']) == 0
    make_proposals(images, tmp_path / 'one.npz', ProposalSettings(), progress=False)
    assert (tmp_path / 'jobs.npz').read_bytes() == (tmp_path / 'one.npz').read_bytes()
    assert not (tmp_path / 'jobs.npz.parts').exists()
    assert '5 images with' in capsys.readouterr().out


def test_parts_become_the_file_of_one_process(images, one, tmp_path):
    out = tmp_path / 'jobs.npz'
    assert by_jobs(images, out) == 0
    assert ProposalStore.open(out).facts['sha256'] == one.facts['sha256']
    assert by_jobs(images, out) == 0  # nothing is left to do


def test_one_file_a_part_serves_as_one(images, one, tmp_path, capsys):
    out = tmp_path / 'proposals'
    assert by_jobs(images, out, '--separate') == 0
    assert f'wrote 2 files in {out}' in capsys.readouterr().out
    store = open_proposals(out, expect=dict(min_side=96))
    assert isinstance(store, PartedStore)
    assert (len(store), store.num_boxes, store.parameters) == (5, one.num_boxes, one.parameters)
    assert sorted(store.names) == list(one.names)
    for name in (name.decode() for name in one.names):
        rows = store.find(name), one.find(name)
        assert store.shape(rows[0]) == one.shape(rows[1])
        assert np.array_equal(store.boxes(name), one.boxes(name))
        assert store.entry(rows[0]).print == one.entry(rows[1]).print
        assert store.made_of(rows[0], images / name)
    assert 'none.png' not in store
    loads = [LoadProposals(file=file) for file in (out, one.path)]
    info = LoadImage()(dict(img_path=str(images / 'sub' / '3.png')))
    found = [load(dict(info))['proposals'] for load in loads]
    assert np.array_equal(*found)
    assert main([str(images), str(out), *QUICK, '--validate']) == 0
    (tmp_path / 'more').mkdir()
    with pytest.raises(ValueError, match='no part of proposals'):
        open_proposals(tmp_path / 'more')
    part_file(out, 0, 2).unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 2 parts .*00000-of-00002\.npz'):
        open_proposals(out)
    assert by_jobs(images, out, '--separate') == 0
    part_file(out, 0, 2).rename(part_file(out, 0, 3))
    with pytest.raises(ValueError, match=r'parts of \[2, 3\] at a time'):
        open_proposals(out)


def test_a_part_that_failed_is_told_and_done_by_the_same_command(
    images, one, tmp_path, monkeypatch, capsys
):
    """A local job, whose process submitit starts; here it is a fork, which knows the patch."""
    out, real = tmp_path / 'jobs.npz', jobs.make_proposals

    def second_fails(*args, shard, **options):
        if shard[0] == 1:
            raise OSError('no more room')
        return real(*args, shard=shard, **options)

    class Forked:
        def __init__(self, job, words):
            self.process = multiprocessing.get_context('fork').Process(target=job, args=words)
            self.process.start()

        def done(self):
            return not self.process.is_alive()

        def exception(self):
            return self.process.exitcode or None

        def stdout(self):
            return 'one\nOSError: no more room\n'

    def fork(job, *words, **options):
        assert options['defaults'] == dict(
            name=f'proposals-{json.loads(words[0])["shard"][0]}-of-2', cpus_per_task=1
        )
        assert options['parameters'] == dict(slurm_partition='cpu', timeout_min=30)
        return Forked(job, words)

    monkeypatch.setattr(jobs, 'submit', fork)
    monkeypatch.setattr(jobs, 'make_proposals', second_fails)
    words = ['--set', 'slurm_partition=cpu', 'timeout_min=30']
    assert by_jobs(images, out, *words, executor='slurm') == 1
    error = capsys.readouterr().err
    assert 'failed: part 1 of 2; the same command goes on' in error
    assert 'no more room' in error
    assert not out.exists()
    monkeypatch.setattr(jobs, 'make_proposals', real)
    assert by_jobs(images, out, *words, executor='slurm') == 0
    assert ProposalStore.open(out).facts['sha256'] == one.facts['sha256']


def test_on_slurm_a_job_whose_time_is_up_is_the_same_again(images, tmp_path):
    asked = dict(images=str(images), out=str(tmp_path / 'p.npz'), workers=1, shard=[0, 2])
    word = json.dumps(dict(asked, separate=False, settings=SETTINGS.parameters()))
    again = jobs.PartJob().checkpoint(word)
    assert again.args == (word,)
    again.result()
    assert (tmp_path / 'p.npz.parts' / '0-of-2.part').is_file()


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['--executor', 'local'], 'belong together'),
        (['--parts', '2'], 'belong together'),
        (['--executor', 'local', '--parts', '2', '--merge'], 'without --shard and the modes'),
        (['--merge', '--separate'], 'give one of them'),
        (['--jobs', '2'], 'are for --executor'),
    ],
)
def test_options_that_do_not_go_together(images, tmp_path, capsys, words, sentence):
    with pytest.raises(SystemExit):
        main([str(images), str(tmp_path / 'o.npz'), *words])
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['--executor', 'slurm', '--parts', '2'], '--executor slurm: '),
        (['--executor', 'debug', '--parts', '2', '--set', 'x'], 'give KEY=VALUE'),
        (['--executor', 'debug', '--parts', '2', '--set', 'timeout=3'], '--executor debug: '),
        (['--shard', '0/9', '--separate'], 'is the name of a file'),
    ],
)
def test_wrong_input_is_one_sentence(images, tmp_path, capsys, words, sentence):
    assert main([str(images), str(tmp_path / 'o.npz'), *QUICK, *words]) == 2
    assert sentence in capsys.readouterr().err
    assert main([str(images), str(tmp_path / 'o'), *QUICK, '--shard', '8/9', '--separate']) == 2
    assert '5 images make no 9 files' in capsys.readouterr().err
