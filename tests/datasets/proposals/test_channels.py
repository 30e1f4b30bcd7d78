"""Images of n channels are searched in false colours, and kept as photos are."""

import numpy as np
import pytest

from mmdssl.datasets.channels import ChannelReader, FalseColours
from mmdssl.datasets.image_folder import ImageFolder
from mmdssl.datasets.proposals.making import make_proposals, merge_proposals
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.datasets.proposals.ranges import pictures_of
from mmdssl.datasets.proposals.store import ProposalStore
from mmdssl.datasets.proposals.validation import validate_proposals
from mmdssl.datasets.transforms import LoadProposals, SelectiveSearch
from tests.datasets.proposals.photos import photo

pytest.importorskip('numba')


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Three images of five channels of 12 bits: R, G and B of a photo, and mixtures of them."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    folder = tmp_path / 'five'
    folder.mkdir()
    mixed = np.random.default_rng(0).dirichlet(np.ones(3), 2).T  # (3, 2)
    for seed in range(3):
        pixels = photo(seed).astype(float) * 16
        values = np.concatenate([pixels, pixels @ mixed], axis=2)
        np.save(folder / f'{seed}.npy', values.astype(np.uint16))
    return folder


def settings(images, out, **options):
    return ProposalSettings(channels=pictures_of(images, out, channels=5, **options))


def make(images, out, own, **options):
    return make_proposals(images, out, own, progress=False, **options)


def test_shards_give_the_file_of_one_which_fits_and_is_read(images, tmp_path):
    out, own = tmp_path / 'one.npz', settings(images, tmp_path / 'one.npz')
    assert make(images, out, own).complete
    many = tmp_path / 'many.npz'
    for shard in range(2):
        make(images, many, settings(images, many), shard=(shard, 2))
    assert merge_proposals(images, many, settings(images, many)).complete
    assert many.read_bytes() == out.read_bytes()
    assert validate_proposals(images, out, expect=own.expected(), progress=False) == []
    store = ProposalStore.open(out)
    assert store.parameters['channels'] == 5
    found = ImageFolder(data_root=images, channels=5)
    assert store.parameters['channel_range'] == [list(pair) for pair in found.statistics.scale]
    # In a pipeline: from the file, and searched on the spot.
    data = ImageFolder(
        data_root=images,
        channels=5,
        pipeline=[dict(type='LoadImage'), LoadProposals(file=out)],
    )
    read = data[1]
    assert read['img'].shape == (96, 128, 5)
    searched = SelectiveSearch()(dict(img=read['img']))
    np.testing.assert_array_equal(read['proposals'], searched['proposals'])
    assert len(read['proposals']) > 1


def test_chosen_channels_give_the_boxes_of_the_photo_they_are(images, tmp_path):
    out = tmp_path / 'p.npz'
    make(images, out, settings(images, out, scale=255 * 16, colours=(1, 2, 3)))
    alone = ProposalSettings().propose(photo(2))[0]
    corners = alone.astype(np.float32)
    corners[:, 2:] += corners[:, :2] - 1
    assert sorted(ProposalStore.open(out).boxes('2.npy').tolist()) == sorted(corners.tolist())


def test_new_images_are_searched_in_the_range_of_the_others(images, tmp_path):
    out = tmp_path / 'p.npz'
    make(images, out, settings(images, out))
    before = ProposalStore.open(out).parameters
    np.save(images / '9.npy', np.load(images / '0.npy')[:, ::-1] * 2)
    own = settings(images, out)
    assert own.parameters() == before
    assert make(images, out, own).made == 1
    # Begun only: the range stands in the part.
    part = tmp_path / 'begun.npz'
    make(images, part, own, shard=(0, 2))
    np.save(images / '8.npy', np.load(images / '0.npy')[::-1] * 3)
    assert settings(images, part).parameters() == before


def test_photos_and_other_pictures_do_not_mix(images, tmp_path):
    out = tmp_path / 'p.npz'
    make(images, out, settings(images, out))
    (images / 'photo.png').symlink_to(images / '0.npy')
    with pytest.raises(ValueError, match='made with channels=5, not None'):
        make(images, out, ProposalSettings())
    with pytest.raises(ValueError, match=r'made with colours=None, not \[3, 2, 1\]'):
        make(images, out, settings(images, out, colours=(3, 2, 1)))


def test_photos_are_kept_as_before():
    """No word of channels: files of photos have the bytes they had."""
    assert 'channels' not in ProposalSettings().parameters()
    own = ProposalSettings(
        channels=FalseColours(reader=ChannelReader(channels=2, scale=(0, 9)), colours=(2, 1, 1))
    )
    assert ProposalSettings.of(own.parameters()).parameters() == own.parameters()
