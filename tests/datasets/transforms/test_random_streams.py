import multiprocessing
import pickle

import numpy as np
import pytest
import torch

from mmdssl.datasets.transforms.multiview import MultiViewWithBoxes
from mmdssl.datasets.transforms.random_streams import (
    load_streams,
    random_source,
    restart_streams,
    streams_state,
)

VIEW = [
    dict(type='RandomResizedCropWithBoxes', size=32),
    dict(type='RandomFlipWithBoxes'),
    dict(type='GridRegions'),
    dict(type='RegionCollaborativeCutout', ratio=(0.2, 0.6), empty_prob=0.5, mask_size=14),
]
BRANCH = dict(type='RegionCollaborativeCutout', ratio=(0.2, 0.6), mask_size=14, key='dc_mask')


@pytest.fixture(autouse=True)
def _fresh_streams():
    restart_streams()


def run(view, samples=6):
    """The views of a few samples under a fixed seed."""
    torch.manual_seed(3)
    np.random.seed(3)
    restart_streams()
    transform = MultiViewWithBoxes(num_views=[1, 1], pipelines=[view, view])
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    return [view for _ in range(samples) for view in transform(dict(img=image))['views']]


def test_branch_with_its_own_stream_leaves_all_other_draws_bit_identical():
    plain = run(VIEW)
    branched = run([*VIEW, dict(BRANCH, stream='dc')])
    for one, other in zip(plain, branched, strict=True):
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])
    masks = np.stack([view['dc_mask'] for view in branched])
    assert len(np.unique(masks, axis=0)) == len(masks)
    # Without the stream the branch does shift the other draws: the test can fail.
    shifted = run([*VIEW, BRANCH])
    assert any((a['regions'] != b['regions']).any() for a, b in zip(plain, shifted, strict=True))


def test_branch_draws_are_reproducible():
    first, second = (run([*VIEW, dict(BRANCH, stream='dc')]) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one['dc_mask'], other['dc_mask'])


def test_streams_differ_by_name_and_by_seed_and_share_by_name():
    torch.manual_seed(5)
    one, other = random_source('a').random(8), random_source('b').random(8)
    assert (one != other).all()
    assert random_source('a') is random_source('a')
    torch.manual_seed(6)
    assert (random_source('a').random(8) != one).all()
    torch.manual_seed(5)
    np.testing.assert_array_equal(random_source('a').random(8), one)


def test_ranks_draw_differently(monkeypatch):
    torch.manual_seed(5)
    first = random_source('a').random(8)
    torch.manual_seed(6)
    random_source('a')
    torch.manual_seed(5)
    monkeypatch.setenv('RANK', '1')
    assert (random_source('a').random(8) != first).all()


def test_no_stream_is_numpys_global_generator():
    np.random.seed(4)
    want = np.random.random(5)
    np.random.seed(4)
    np.testing.assert_array_equal(random_source().random(5), want)


def _draw(seed, pipe):
    torch.manual_seed(seed)
    pipe.send(random_source('a').random(4).tolist())


def test_forked_workers_do_not_continue_the_parents_stream():
    torch.manual_seed(5)
    want = random_source('a').random(4).tolist()  # the parent has used the stream already
    random_source('a').random(9)
    context = multiprocessing.get_context('fork')
    for seed, same in ((5, True), (6, False)):
        here, there = context.Pipe()
        worker = context.Process(target=_draw, args=(seed, there))
        worker.start()
        assert (here.recv() == want) is same
        worker.join()


def test_streams_continue_from_a_saved_state():
    torch.manual_seed(7)
    random_source('a').random(3)
    state = pickle.loads(pickle.dumps(streams_state()))
    want = random_source('a').random(4)
    torch.manual_seed(8)
    other = random_source('b').random(4)
    torch.manual_seed(7)
    load_streams(state)
    np.testing.assert_array_equal(random_source('a').random(4), want)
    assert (random_source('b').random(4) != other).all()  # not in the state: from its start
