"""The data set of shards gives what the folder gives: order, keys, pixels, bad images, workers."""

import pickle
import shutil

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader

from mmdssl.datasets import ImageFolder, ImageShards
from mmdssl.datasets.bad_images import TooManyBadImagesError
from mmdssl.datasets.channels import statistics
from mmdssl.datasets.few_photos import load_photos
from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.datasets.proposals.filters import ProposalFilter
from mmdssl.datasets.proposals.making import make_proposals
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.datasets.proposals.store import ProposalStore
from mmdssl.datasets.proposals.validation import validate_proposals
from mmdssl.datasets.sample_keys import key_samples
from mmdssl.datasets.shards.checking import check_shards
from mmdssl.datasets.shards.files import RemoteShards
from mmdssl.datasets.shards.making import make_shards
from mmdssl.datasets.start_checks import check_images
from tests.datasets.shards.odd_folder import NAMES, odd_folder

LOAD = [dict(type='LoadImage')]
VIEWS = [*LOAD, dict(type='RandomResizedCropWithBoxes', size=32)]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return odd_folder(tmp_path_factory.mktemp('images'))


@pytest.fixture(scope='module')
def shards(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp('out') / 'shards'
    make_shards(folder, out, size=16_000, progress=False)
    return out


def pixels(results):
    return results['sample_idx'], results['img'].astype(np.int64).sum(), results['img'][0, 0]


def loaded(dataset, workers, skip=0):
    """Indices and pixels of a shuffled pass as a run draws them."""
    loader = DataLoader(
        dataset,
        batch_size=4,
        sampler=DefaultSampler(dataset, shuffle=True, seed=3),
        num_workers=workers,
        collate_fn=list,
    )
    keyed = key_samples(loader, seed=7)
    keyed.forward(skip)
    return [(index, int(total), tuple(one)) for batch in loader for index, total, one in batch]


def test_samples_are_those_of_the_folder(folder, shards):
    one, other = (
        kind(data_root=root, pipeline=LOAD)
        for kind, root in ((ImageFolder, folder), (ImageShards, shards))
    )
    assert len(one) == len(other) == len(NAMES)
    for index in range(len(NAMES)):  # the broken one too: the same image takes its place
        first, second = one[index], other[index]
        assert first['sample_idx'] == second['sample_idx']
        assert first['img_path'].removeprefix(str(folder)) == second['img_path'].removeprefix(
            str(shards)
        )
        assert np.array_equal(first['img'], second['img'])
    assert [bad.sample for bad in other.bad_images.read()] == [4]
    few = ImageShards(data_root=shards, pipeline=LOAD, max_images=3)
    assert [few[i]['img_path'] for i in range(3)] == [
        other.get_data_info(i)['img_path'] for i in (0, 3, 6)
    ]
    assert other.metainfo == {'data_root': str(shards)}


def test_images_of_n_channels_have_the_ranges_of_the_folder(tmp_path, monkeypatch):
    root = tmp_path / 'images'
    root.mkdir()
    draws = np.random.default_rng(1).integers(0, 4096, (5, 6, 40, 50)).astype(np.uint16)
    for number, one in enumerate(draws):
        np.save(root / f'{number}.npy', one)
    make_shards(root, tmp_path / 'shards', extensions=['.npy'], progress=False)
    assert check_shards(tmp_path / 'shards', progress=False)[1] == []
    settings = dict(pipeline=LOAD, channels=6)
    one = ImageFolder(data_root=root, **settings)
    other = ImageShards(data_root=tmp_path / 'shards', **settings)
    assert other.statistics == one.statistics
    assert other[3]['img'].shape == (40, 50, 6)
    assert np.array_equal(other[3]['img'], one[3]['img'])
    again = ImageShards(data_root=tmp_path / 'shards', max_images=2, **settings)
    assert np.array_equal(again[1]['img'].argmax(), other[2]['img'].argmax())
    monkeypatch.setattr(statistics, '_measured', None)  # kept for the next run
    kept = ImageShards(data_root=tmp_path / 'shards', **settings)
    assert kept.statistics == other.statistics
    with pytest.raises(ValueError, match='set channels as well'):
        ImageShards(data_root=tmp_path / 'shards', scale=3)


def test_order_draws_and_resuming_are_those_of_the_folder(folder, shards):
    one = ImageFolder(data_root=folder, pipeline=[*VIEWS, pixels])
    other = ImageShards(data_root=shards, pipeline=[*VIEWS, pixels])
    passes = loaded(one, 0)
    assert loaded(other, 0) == passes
    assert loaded(other, 2) == passes  # forked workers
    assert loaded(other, 0, skip=1) == passes[4:]
    copy = pickle.loads(pickle.dumps(other))  # what a spawned worker gets
    assert len(pickle.dumps(other.index)) < 1000
    assert loaded(copy, 0) == passes


def test_damage_is_a_bad_image_and_missing_shards_are_said_at_the_start(shards, tmp_path):
    out = shutil.copytree(shards, tmp_path / 'shards')
    data = ImageShards(data_root=out, pipeline=LOAD)
    path = out / 'shard-000000.tar'
    content = bytearray(path.read_bytes())
    content[900] ^= 1
    path.write_bytes(content)
    assert data[0]['sample_idx'] != 0
    assert 'do not have their check sum' in data.bad_images.read()[0].reason
    with pytest.raises(ValueError, match='check sum'):
        ImageShards(data_root=out, pipeline=LOAD, on_bad='raise')[0]
    path.write_bytes(content[:800])  # while a run goes on
    data = ImageShards(data_root=shards, pipeline=LOAD)
    object.__setattr__(data.index.files, 'root', str(out))
    assert data[0]['sample_idx'] != 0
    assert 'is cut short' in data.bad_images.read()[0].reason
    with pytest.raises(ValueError, match=r'1 of \d+ shards .* cut short \(shard-000000.tar\)'):
        ImageShards(data_root=out)
    path.unlink()
    with pytest.raises(FileNotFoundError, match='1 of them are not there'):
        ImageShards(data_root=out)
    with pytest.raises(FileNotFoundError, match='mmdssl shards make'):
        ImageShards(data_root=tmp_path)


def test_backgrounds_and_photos_come_from_shards(folder, shards):
    disturb = build_pipeline([*LOAD, dict(type='DisturbBackground', seed=4)])
    images = []
    for kind, root in ((ImageFolder, folder), (ImageShards, shards)):
        part = kind(data_root=root)
        boxes = np.array([[0, 0, 8, 8]], np.float32)
        images.append(
            disturb({**part.get_data_info(0), 'dataset': part, 'gt_bboxes': boxes})['img']
        )
    own = ImageFolder(data_root=folder, pipeline=LOAD)[0]['img']
    assert np.array_equal(images[0][:8, :8], own[:8, :8])
    assert not np.array_equal(images[0], own)
    assert np.array_equal(*images)
    names, photos = zip(*(load_photos(root, 2, 16) for root in (folder, shards)), strict=True)
    assert names[0] == names[1]
    assert all((a == b).all() for a, b in zip(*photos, strict=True))


def test_proposals_are_found_by_name(folder, shards, tmp_path):
    settings = ProposalSettings(filter=ProposalFilter(min_side=48))  # none: quick
    files = [tmp_path / 'folder.npz', tmp_path / 'shards.npz']
    for root, file in zip((folder, shards), files, strict=True):
        make_proposals(root, file, settings, progress=False)
    one, other = map(ProposalStore.open, files)
    assert one.facts['sha256'] == other.facts['sha256']  # content and fingerprints alike
    found = validate_proposals(shards, files[0], progress=False)
    assert len(found) == 1  # the broken image has none
    assert found[0].startswith('1 images are not in')
    steps = [*LOAD, dict(type='LoadProposals', file=files[0])]
    boxes = [
        kind(data_root=root, pipeline=steps)[3]['proposals']
        for kind, root in ((ImageFolder, folder), (ImageShards, shards))
    ]
    assert np.array_equal(*boxes)
    check_images(ImageShards(data_root=shards, pipeline=steps))
    report = make_proposals(shards, files[1], settings, progress=False, workers=2)
    assert report.made == 1  # the broken one is tried again


def remote(shards):
    """The same shards in fsspec's memory."""
    fsspec = pytest.importorskip('fsspec', reason='shards elsewhere need it')
    system = fsspec.filesystem('memory')
    if system.exists('/bucket'):
        system.rm('/bucket', recursive=True)
    system.put(str(shards), '/bucket/shards', recursive=True)
    return system, 'memory://bucket/shards'


def test_remote_shards_are_copied_once(folder, shards, tmp_path):
    system, place = remote(shards)
    data = ImageShards(data_root=place, pipeline=LOAD, cache=tmp_path, on_bad='raise')
    own = ImageFolder(data_root=folder, pipeline=LOAD)
    assert np.array_equal(data[0]['img'], own[0]['img'])
    assert [one.name for one in tmp_path.rglob('*.tar')] == ['shard-000000.tar']
    system.rm('/bucket/shards/shard-000000.tar')  # the copy serves
    assert np.array_equal(data[0]['img'], own[0]['img'])
    assert data[0]['img_path'] == f'{place}/a-b.jpg'
    system.rm('/bucket/shards/shard-000001.tar')
    with pytest.raises(ValueError, match=r'shard-000001\.tar is missing'):
        data[3]
    again = ImageShards(data_root=place, pipeline=[*LOAD, pixels], cache=tmp_path)
    system.rm('/bucket/shards', recursive=True)
    shutil.rmtree(tmp_path)
    with pytest.raises(TooManyBadImagesError):
        loaded(again, 0)


@pytest.mark.parametrize('options', [dict(cache=False), dict(cache_gb=3e-5)])
def test_what_may_not_be_copied_is_read_where_it_is(folder, shards, tmp_path, options):
    _, place = remote(shards)
    given = {'cache': tmp_path, **options}
    data = ImageShards(data_root=place, pipeline=LOAD, **given)
    own = ImageFolder(data_root=folder, pipeline=LOAD)
    for index in (0, 3, 8, 9):
        assert np.array_equal(data[index]['img'], own[index]['img'])
    copies = list(tmp_path.rglob('*.tar'))
    assert len(copies) == (0 if options.get('cache') is False else 1)
    assert sum(one.stat().st_size for one in copies) <= 30_000


def test_an_address_of_files_and_faults_of_the_network(folder, shards, monkeypatch, tmp_path):
    pytest.importorskip('fsspec', reason='shards elsewhere need it')
    data = ImageShards(data_root=f'file://{shards}', pipeline=LOAD, cache=tmp_path)
    assert isinstance(data.index.files, RemoteShards)
    assert loaded_paths(data) == loaded_paths(ImageFolder(data_root=folder, pipeline=LOAD))
    monkeypatch.setattr('mmdssl.datasets.shards.files.time.sleep', lambda seconds: None)
    calls = []

    class Failing:
        def cat_file(self, path, start, end):
            calls.append(path)
            if len(calls) < 3:
                raise TimeoutError('slow')
            return b'x' * (end - start)

    files = ImageShards(data_root=f'file://{shards}', cache=False).index.files
    monkeypatch.setattr(files, '_system', lambda: (Failing(), 'p'))
    assert files.read('a.tar', 5, 3) == b'xxx'
    assert calls == ['p/a.tar'] * 3
    calls.clear()
    monkeypatch.setattr(files, '_system', lambda: 1 / 0)
    with pytest.raises(OSError, match='cannot be fetched'):
        files.read('a.tar', 5, 3)
    with pytest.raises(ValueError, match='cache_gb must be above 0'):
        ImageShards(data_root=shards, cache_gb=0)
    with pytest.raises(ValueError, match='nowhere'):
        ImageShards(data_root='nowhere://x')


def loaded_paths(data):
    return [data[i]['img_path'].rpartition('/')[2] for i in range(len(data))]


def test_fsspec_is_asked_for_in_a_sentence(monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *rest, **words):
        if name.startswith('fsspec'):
            raise ModuleNotFoundError("No module named 'fsspec'", name='fsspec')
        return real(name, *rest, **words)

    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(ModuleNotFoundError, match=r'needs fsspec, which is not installed: pip'):
        ImageShards(data_root='s3://bucket/shards')
