import pickle

import cv2
import numpy as np
import pytest

from mmdssl.datasets import ImageFolder
from mmdssl.datasets.decode import decode_image
from mmdssl.datasets.proposals.making import make_proposals
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.datasets.proposals.store import Entry, write_store
from mmdssl.datasets.transforms import LoadProposals, SelectiveSearch
from mmdssl.engine.config import load_config
from tests.datasets.proposals.photos import folder_of_photos, photo


def results(path, height=60, width=80):
    return dict(img_path=str(path), img=np.zeros((height, width, 3), np.uint8))


@pytest.fixture
def file(tmp_path):
    """Proposals of a.jpg, sub/a.jpg and empty.jpg."""
    boxes, counts = np.array([[0, 0, 79, 59], [5, 6, 40, 33]]), np.array([2, 1])
    entries = [
        Entry(b'a.jpg', (60, 80), 0, boxes, counts),
        Entry(b'sub/a.jpg', (60, 80), 0, boxes[1:], counts[1:]),
        Entry(b'empty.jpg', (60, 80), 3, boxes[:0], counts[:0]),
    ]
    write_store(tmp_path / 'p.npz', entries, parameters=dict(scale=300))
    return tmp_path / 'p.npz'


def test_boxes_and_ids_are_those_of_the_image(file):
    got = LoadProposals(file=file)(results('data/images/a.jpg'))
    assert got['proposals'].dtype == np.float32
    assert got['proposals'].tolist() == [[0, 0, 78, 58], [0, 0, 78, 58], [5, 6, 44, 38]]
    assert got['proposals_ids'].dtype == np.int64
    assert got['proposals_ids'].tolist() == [1, 2, 3]
    once = LoadProposals(file=file, unique=True)(results('data/images/a.jpg'))
    assert once['proposals'].tolist() == [[0, 0, 78, 58], [5, 6, 44, 38]]
    assert once['proposals_ids'].tolist() == [1, 2]


def test_an_image_without_proposals_has_itself(file):
    got = LoadProposals(file=file)(results('data/images/empty.jpg'))
    assert got['proposals'].tolist() == [[0, 0, 79, 59]]
    assert got['proposals_ids'].tolist() == [1]


@pytest.mark.parametrize('first', ['a.jpg', 'sub/a.jpg'])
def test_the_folder_is_found_by_the_longest_end_of_the_path(file, first):
    load = LoadProposals(file=file)
    load(results(f'data/images/{first}'))
    assert len(load(results('data/images/a.jpg'))['proposals']) == 3
    assert len(load(results('data/images/sub/a.jpg'))['proposals']) == 1
    with pytest.raises(ValueError, match=r'holds no proposals of .*other/a\.jpg'):
        load(results('data/other/a.jpg'))  # the same name in another folder


def test_the_folder_can_be_named(file):
    load = LoadProposals(file=file, image_root='data/images')
    assert len(load(results('data/images/sub/a.jpg'))['proposals']) == 1
    with pytest.raises(ValueError, match=r'holds no proposals of .*data/a\.jpg'):
        load(results('data/a.jpg'))


def test_an_image_the_file_does_not_hold_is_named(file):
    with pytest.raises(ValueError, match=r'p\.npz holds no proposals of .*x\.jpg, neither'):
        LoadProposals(file=file)(results('data/images/x.jpg'))


def test_an_image_of_another_size_is_named(file):
    load = LoadProposals(file=file)
    with pytest.raises(ValueError, match=r'height x width 60 x 81, but its proposals .* 60 x 80'):
        load(results('data/a.jpg', 60, 81))
    with pytest.raises(ValueError, match="the same 'exif'"):
        load(results('data/a.jpg', 80, 60))


def test_a_missing_file_and_other_parameters_are_named(file, tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no proposals file'):
        LoadProposals(file=tmp_path / 'none.npz')
    with pytest.raises(ValueError, match='were made with scale=300, not 100'):
        LoadProposals(file=file, expect=dict(scale=100))


def test_a_copy_in_another_process_finds_the_same_boxes(file):
    load = pickle.loads(pickle.dumps(LoadProposals(file=file)))
    assert len(load(results('data/images/a.jpg'))['proposals']) == 3


def test_option_data_root_moves_the_file(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(
        "data_root = 'data/coco/'\n"
        "pipeline = [dict(type='LoadProposals', file=data_root + 'proposals/ss.npz')]\n"
    )
    moved = load_config(config, dict(data_root='/mnt/coco'))
    assert moved.pipeline[0].file == '/mnt/coco/proposals/ss.npz'


@pytest.mark.parametrize('unique', [False, True])
def test_search_on_the_spot_and_from_the_file_agree(tmp_path, unique):
    pytest.importorskip('numba')
    images = folder_of_photos(tmp_path / 'images', 3)
    make_proposals(images, tmp_path / 'p.npz', ProposalSettings(), progress=False)
    load = dict(type='LoadProposals', file=tmp_path / 'p.npz', unique=unique)
    steps = [dict(type='LoadImage'), load]
    dataset = ImageFolder(data_root=images, pipeline=steps, cache=False)
    assert len(dataset) == 3
    for sample in dataset:
        found = SelectiveSearch(unique=unique)(dict(img=decode_image(sample['img_path'])))
        np.testing.assert_array_equal(sample['proposals'], found['proposals'])
        np.testing.assert_array_equal(sample['proposals_ids'], found['proposals_ids'])
        assert len(sample['proposals']) > 1
        different = len(np.unique(sample['proposals'], axis=0))
        assert (different == len(sample['proposals'])) is unique


def test_search_without_a_find_gives_the_picture():
    pytest.importorskip('numba')
    got = SelectiveSearch(min_side=96)(dict(img=photo(1)))
    assert got['proposals'].tolist() == [[0, 0, 127, 95]]
    small = SelectiveSearch()(dict(img=cv2.resize(photo(1), (8, 6))))
    assert small['proposals'].tolist() == [[0, 0, 7, 5]]
