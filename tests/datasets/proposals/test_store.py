import json
import pickle

import numpy as np
import pytest

from mmdssl.datasets.proposals.store import Entry, ProposalStore, write_store

PARAMETERS = dict(producer='numba', scale=300, size=(0.3, 0.8))


def entries():
    return [
        entry(b'sub/b.jpg', (60, 80), 1, [[0, 0, 79, 59], [5, 6, 40, 33]], [1, 3]),
        entry(b'a.jpg', (50, 70), 0, [[1, 2, 33, 44]], [1]),
        entry('ü.jpg'.encode(), (30, 40), 3, np.zeros((0, 4)), []),
    ]


def entry(name, shape, rule, boxes, counts):
    return Entry(name, shape, rule, np.array(boxes, int), np.array(counts, int))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'proposals.npz'
    write_store(path, entries(), parameters=PARAMETERS, versions=dict(skimage='0.26'))
    return path


def rewrite(path, **changes):
    """The file with some arrays changed and its hash left alone."""
    with np.load(path) as kept:
        arrays = {key: kept[key] for key in kept.files}
    np.savez(path, **(arrays | changes))


def test_boxes_come_back_by_name_as_corners(file):
    store = ProposalStore.open(file)
    boxes = store.boxes('sub/b.jpg')
    assert boxes.dtype == np.float32
    assert boxes.tolist() == [[0, 0, 78, 58]] + 3 * [[5, 6, 44, 38]]
    assert store.boxes('sub/b.jpg', unique=True).tolist() == [[0, 0, 78, 58], [5, 6, 44, 38]]
    assert store.boxes('a.jpg').tolist() == [[1, 2, 33, 45]]
    assert len(store) == 3
    assert store.num_boxes == 3
    assert 'a.jpg' in store
    assert 'b.jpg' not in store
    with pytest.raises(KeyError, match=r'holds no image b\.jpg'):
        store.boxes('b.jpg')


def test_an_image_without_boxes_has_itself_as_one(file):
    assert ProposalStore.open(file).boxes('ü.jpg').tolist() == [[0, 0, 39, 29]]


def test_every_entry_comes_back(file):
    store = ProposalStore.open(file)
    found = {entry.name: entry for entry in map(store.entry, range(len(store)))}
    for entry in entries():
        assert found[entry.name].shape == entry.shape
        assert found[entry.name].rule == entry.rule
        np.testing.assert_array_equal(found[entry.name].boxes, entry.boxes)
        np.testing.assert_array_equal(found[entry.name].counts, entry.counts)


def test_boxes_take_two_bytes_a_number_unless_a_picture_is_huge(file, tmp_path):
    assert ProposalStore.open(file).entry(0).boxes.dtype == np.int16
    assert ProposalStore.open(file).entry(0).counts.dtype == np.uint8
    big = entry(b'big.tif', (40000, 50000), 0, [[0, 0, 49999, 39999]], [300])
    write_store(tmp_path / 'big.npz', [big], parameters={})
    store = ProposalStore.open(tmp_path / 'big.npz')
    assert store.boxes('big.tif').tolist() == 300 * [[0, 0, 49998, 39998]]


def test_store_holds_no_python_object_per_image(file):
    store = ProposalStore.open(file)
    kinds = {type(value) for value in vars(store.names).values()} | {
        type(value) for key, value in vars(store).items() if key not in ('path', 'facts', 'names')
    }
    assert kinds == {np.ndarray}


def test_a_spawned_worker_opens_the_file_itself(file):
    sent = pickle.dumps(ProposalStore.open(file))
    assert len(sent) < 300
    assert pickle.loads(sent).boxes('a.jpg').tolist() == [[1, 2, 33, 45]]


def test_parameters_asked_for_are_compared(file):
    store = ProposalStore.open(file, expect=dict(scale=300, size=(0.3, 0.8)))
    assert store.parameters['producer'] == 'numba'
    with pytest.raises(ValueError, match='were made with scale=300, not 200'):
        ProposalStore.open(file, expect=dict(scale=200))
    with pytest.raises(ValueError, match=r'were made with sigma=None, not 0\.9'):
        ProposalStore.open(file, expect=dict(sigma=0.9))


def test_the_former_name_of_the_producer_is_understood(tmp_path):
    """Older files name the search after the package whose segments it has."""
    before = dict(PARAMETERS, producer='skimage')
    write_store(tmp_path / 'a.npz', entries(), parameters=before, versions={})
    store = ProposalStore.open(tmp_path / 'a.npz', expect=PARAMETERS)
    assert store.parameters['producer'] == 'numba'
    ProposalStore.open(tmp_path / 'a.npz', expect=before)
    with pytest.raises(ValueError, match="were made with producer='numba', not 'opencv'"):
        ProposalStore.open(tmp_path / 'a.npz', expect=dict(producer='opencv'))


def test_missing_damaged_and_foreign_files_are_told_apart(file, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no proposals file .*mmdssl proposals IMAGES'):
        ProposalStore.open(tmp_path / 'none.npz')
    foreign = tmp_path / 'foreign.npz'
    np.savez(foreign, x=np.zeros(3))
    with pytest.raises(ValueError, match='is no proposals file, or damaged'):
        ProposalStore.open(foreign)
    foreign.write_bytes(b'hello')
    with pytest.raises(ValueError, match='is no proposals file, or damaged'):
        ProposalStore.open(foreign)
    cut = tmp_path / 'cut.npz'
    cut.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ValueError, match='is no proposals file, or damaged'):
        ProposalStore.open(cut)


def test_a_changed_box_breaks_the_hash(file):
    with np.load(file) as kept:
        boxes = kept['boxes']
    boxes[0, 0] += 1
    rewrite(file, boxes=boxes)
    with pytest.raises(ValueError, match='does not have the hash it states'):
        ProposalStore.open(file)


@pytest.mark.parametrize('box', [[-1, 0, 10, 10], [0, 0, 71, 10], [3, 3, 10, 48], [3, 3, 0, 9]])
def test_boxes_outside_their_picture_are_refused(tmp_path, box):
    write_store(tmp_path / 'x.npz', [entry(b'a.jpg', (50, 70), 0, [box], [1])], parameters={})
    with pytest.raises(ValueError, match=r'1 boxes of .* outside their pictures.*of a\.jpg'):
        ProposalStore.open(tmp_path / 'x.npz')


def test_boxes_may_touch_every_side_of_their_picture(tmp_path):
    boxes = [[0, 0, 70, 50], [60, 40, 10, 10], [69, 49, 1, 1]]  # x y w h of 50 x 70
    write_store(tmp_path / 'x.npz', [entry(b'a.jpg', (50, 70), 0, boxes, [1, 1, 1])], parameters={})
    found = ProposalStore.open(tmp_path / 'x.npz').boxes('a.jpg')
    assert found.tolist() == [[0, 0, 69, 49], [60, 40, 69, 49], [69, 49, 69, 49]]


def test_a_file_that_kept_each_box_once_is_refused(file):
    with np.load(file) as kept:
        arrays = {key: kept[key] for key in kept.files if key != 'counts'}
    facts = json.loads(arrays['facts'].tobytes()) | dict(format=1)
    arrays['facts'] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(file, **arrays)
    with pytest.raises(ValueError, match=r'format 1, which kept repeated boxes only once.*anew'):
        ProposalStore.open(file)


def test_a_box_without_its_count_is_refused(tmp_path):
    one = [[1, 2, 33, 44]]
    for counts in ([], [1, 1]):
        bad = entry(b'a.jpg', (50, 70), 0, one, counts)
        with pytest.raises(ValueError, match=rf'a\.jpg has 1 boxes and {len(counts)} counts'):
            write_store(tmp_path / 'x.npz', [bad], parameters={})
    write_store(tmp_path / 'x.npz', [entry(b'a.jpg', (50, 70), 0, one, [0])], parameters={})
    with pytest.raises(ValueError, match='of each of its 1 boxes how often'):
        ProposalStore.open(tmp_path / 'x.npz')


def test_one_image_cannot_have_two_entries(tmp_path):
    with pytest.raises(ValueError, match=r'two entries of the image a\.jpg'):
        write_store(tmp_path / 'x.npz', [entries()[1]] * 2, parameters={})


def test_files_hold_no_pickles(file):
    with np.load(file, allow_pickle=False) as kept:
        assert all(kept[key].dtype != object for key in kept.files)
