"""The image folder: all images, none of them able to end a run, and clear words where it must."""

import re

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmdssl.datasets import ImageFolder
from mmdssl.datasets.bad_images import TooManyBadImagesError
from mmdssl.datasets.decode import ImageDecodeError
from mmdssl.registry import DATASETS
from tests.datasets.image_files import picture, save

LOAD = [dict(type='LoadImage')]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


@pytest.fixture
def folder(tmp_path):
    """A function that fills a folder with good images, some of them then broken."""

    def fill(good, broken=()):
        root = tmp_path / 'images'
        root.mkdir()
        data = save(picture(), 'JPEG')
        for number in range(good):
            whole = data if number not in broken else data[: len(data) // 2]
            (root / f'{number:04d}.jpg').write_bytes(whole)
        return root

    return fill


def only_index(results):
    """The end of a pipeline that loaders can hand over without a collate function."""
    return results['sample_idx']


@pytest.mark.parametrize('count', [1, 7])
def test_items_are_what_lies_in_the_folder(folder, count):
    root = folder(count)
    dataset = DATASETS.build(dict(type='ImageFolder', data_root=str(root), pipeline=LOAD))
    assert len(dataset) == count
    for index in range(count):
        results = dataset[index]
        assert results['img_path'] == str(root / f'{index:04d}.jpg')
        assert results['sample_idx'] == index
        assert results['img'].shape == (48, 64, 3)
        assert results['img_shape'] == results['ori_shape'] == (48, 64)
    assert dataset[-1]['sample_idx'] == count - 1
    with pytest.raises(IndexError):
        dataset[count]
    assert sum(1 for _ in dataset) == count


def test_unprefixed_types_are_ours_in_any_scope(folder):
    root = folder(1)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        config = dict(type='mmdssl.ImageFolder', data_root=str(root), pipeline=LOAD)
        dataset = DATASETS.build(config)
    assert dataset[0]['img'].dtype == np.uint8


def test_runner_builds_the_loader_of_a_config(folder):
    pipeline = [*LOAD, only_index]
    config = dict(
        dataset=dict(type='ImageFolder', data_root=str(folder(6)), pipeline=pipeline),
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        worker_init_fn=dict(type='seed_worker'),
        batch_size=2,
        num_workers=1,
    )
    with DefaultScope.overwrite_default_scope('mmdssl'):
        loader = Runner.build_dataloader(config, seed=0)
    assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3], [4, 5]]


def test_number_of_images_can_be_limited(folder):
    dataset = ImageFolder(data_root=folder(10), pipeline=LOAD, max_images=4)
    names = [dataset[i]['img_path'][-8:] for i in range(len(dataset))]
    assert names == ['0000.jpg', '0002.jpg', '0005.jpg', '0007.jpg']
    assert len(ImageFolder(data_root=dataset.data_root, max_images=99)) == 10


@pytest.mark.filterwarnings('ignore:.*cannot be read')
def test_a_bad_image_is_replaced_by_a_certain_other_one_and_listed(folder, tmp_path):
    root = folder(10, broken={3, 4})
    lists = [tmp_path / 'one.txt', tmp_path / 'two.txt']
    one, two = (ImageFolder(data_root=root, pipeline=LOAD, bad_list=path) for path in lists)
    served = [one[i]['sample_idx'] for i in range(10)]
    assert [i for i in range(10) if served[i] != i] == [3, 4]
    assert not {3, 4} & set(served)
    # Depends on the index alone: not on order, nor on what was found before.
    assert [two[i]['sample_idx'] for i in reversed(range(10))] == served[::-1]
    assert [one[i]['sample_idx'] for i in range(10)] == served
    assert sorted(entry.sample for entry in one.bad_images.read()) == [3, 4]
    assert len(lists[0].read_text().splitlines()) == 2
    assert 'truncated' in lists[0].read_text()


@pytest.mark.filterwarnings('ignore:.*cannot be read')
def test_a_missing_file_counts_as_bad(folder):
    root = folder(5)
    dataset = ImageFolder(data_root=root, pipeline=LOAD)
    (root / '0002.jpg').unlink()
    assert dataset[2]['sample_idx'] != 2
    assert [(e.sample, e.reason) for e in dataset.bad_images.read()] == [
        (2, 'No such file or directory')
    ]


@pytest.mark.filterwarnings('ignore:.*cannot be read')
@pytest.mark.parametrize('method', ['fork', pytest.param('spawn', marks=pytest.mark.slow)])
def test_workers_share_the_list_with_each_other_and_the_main_process(folder, method):
    broken = set(range(0, 40, 4))
    dataset = ImageFolder(data_root=folder(40, broken), pipeline=[*LOAD, only_index])
    loader = DataLoader(
        dataset, num_workers=2, batch_size=None, shuffle=False, multiprocessing_context=method
    )
    for _ in range(2):
        served = list(loader)
        assert len(served) == 40
        assert not broken & set(served)
    # Both workers met bad images, each once, and the main process sees all of them.
    assert {entry.sample for entry in dataset.bad_images.read()} == broken
    assert len(dataset.bad_images) == 10


@pytest.mark.filterwarnings('ignore:.*cannot be read')
def test_too_many_bad_images_end_the_run_with_one_sentence(folder):
    broken = set(range(0, 60, 3))
    dataset = ImageFolder(data_root=folder(60, broken), pipeline=LOAD, max_bad_share=0.2)
    loader = DataLoader(dataset, num_workers=2, batch_size=None, collate_fn=only_index)
    with pytest.raises(TooManyBadImagesError) as caught:
        list(loader)
    message = str(caught.value)
    # 12 are allowed; the other worker may have added one more by the time of the count.
    assert re.search(r'1[34] of 60 images \(2[13]\.\d%\) cannot be read', message)
    assert 'max_bad_share' in message
    assert str(dataset.bad_images.path) in message


@pytest.mark.filterwarnings('ignore:.*cannot be read')
def test_a_folder_of_nothing_but_bad_images_is_named(folder):
    dataset = ImageFolder(data_root=folder(4, range(4)), pipeline=LOAD)
    with pytest.raises(TooManyBadImagesError, match='none of the 4 images can be read'):
        dataset[0]


def test_bad_images_can_be_made_an_error(folder):
    dataset = ImageFolder(data_root=folder(3, {1}), pipeline=LOAD, on_bad='raise')
    assert dataset[0]['sample_idx'] == 0
    with pytest.raises(ImageDecodeError, match=r'0001\.jpg'):
        dataset[1]


def test_errors_of_other_transforms_are_not_hidden(folder):
    def broken_transform(results):
        raise ValueError('a mistake in a transform')

    dataset = ImageFolder(data_root=folder(3), pipeline=[*LOAD, broken_transform])
    with pytest.raises(ValueError, match='a mistake in a transform'):
        dataset[0]
    dataset = ImageFolder(data_root=dataset.data_root, pipeline=[lambda results: None])
    with pytest.raises(ValueError, match='returned None'):
        dataset[0]


def test_folders_without_images_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no folder'):
        ImageFolder(data_root=tmp_path / 'nowhere')
    (tmp_path / 'a.txt').touch()
    with pytest.raises(FileNotFoundError, match=r'no image in .*extensions \(now \.jpg'):
        ImageFolder(data_root=tmp_path)


def test_wrong_settings_are_named(folder):
    root = folder(1)
    with pytest.raises(ValueError, match="'ignore'"):
        ImageFolder(data_root=root, on_bad='ignore')
    with pytest.raises(ValueError, match='max_images must be at least 1'):
        ImageFolder(data_root=root, max_images=0)


def test_some_sub_folders_only(tmp_path):
    for name in ('a/1.png', 'b/2.png', 'b/deep/3.png', 'c/4.png'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(save(picture(), 'png'))
    data = ImageFolder(data_root=tmp_path, folders=['b', 'a'], cache=False)
    found = [data.get_data_info(i)['img_path'].rsplit('/')[-1] for i in range(len(data))]
    assert found == ['2.png', '3.png', '1.png']
    with pytest.raises(FileNotFoundError, match='d'):
        ImageFolder(data_root=tmp_path, folders=['d'], cache=False)
    with pytest.raises(ValueError, match="folders is 'a', give a list"):
        ImageFolder(data_root=tmp_path, folders='a')
