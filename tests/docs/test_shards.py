"""The commands on shards and on proposals by jobs do what their pages say, on a few pictures."""

import json
import shlex

from mmdssl.datasets.proposals.part_files import open_proposals
from tests.commands import run_command
from tests.datasets.proposals.photos import folder_of_photos
from tests.docs.page import commands, load


def run(page, name, changes):
    """The commands ``mmdssl NAME`` of a page with some words of theirs changed."""
    for line in commands(load(page)):
        words = [changes.get(word, word) for word in shlex.split(line)]
        if words[:2] == ['mmdssl', name]:
            yield words[2], run_command(name, *words[2:])


def test_shards_are_made_checked_and_indexed_as_the_page_says(tmp_path):
    photos = folder_of_photos(tmp_path / 'photos', 4)
    changes = dict(PHOTOS=str(photos), SHARDS=str(tmp_path / 'shards'))
    changes |= {'TILES': str(photos), '.tif': '.png'}  # of the same endings: nothing is left to do
    assert list(run('shards.md', 'shards', changes)) == [
        ('make', 0),
        ('check', 0),
        ('index', 0),
        ('make', 0),
    ]
    listed = json.loads((tmp_path / 'shards' / 'shards.json').read_text())
    assert sum(shard['nsamples'] for shard in listed['shardlist']) == 4


def test_proposals_are_made_by_jobs_as_the_page_says(tmp_path):
    """In this process, and of pictures that have nothing to search."""
    photos = folder_of_photos(tmp_path / 'photos', 4)
    small = {'slurm': 'debug', '16': '2', '64': '2', '32': '1', 'slurm_partition=cpu': 'nodes=1'}
    for place in ('OUT.npz', 'FOLDER'):
        small |= {'IMAGES': str(photos), place: str(tmp_path / place)}
    # The whole of a picture of 96 pixels is its proposal then.
    done = [
        run_command('proposals', *words[2:], '--min-side', '96')
        for words in (
            [small.get(word, word) for word in shlex.split(line)]
            for line in commands(load('gpu_and_cluster.md'))
            if line.startswith('mmdssl proposals')
        )
    ]
    assert done == [0, 0]
    for place in ('OUT.npz', 'FOLDER'):
        assert len(open_proposals(tmp_path / place)) == 4
