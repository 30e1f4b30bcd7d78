"""``mmdssl proposals``: options reach the search, mistakes are one line, exit codes tell."""

import json

import numpy as np
import pytest
from PIL import Image

from mmdssl.cli import proposals as tool
from mmdssl.datasets.proposals.store import ProposalStore
from tests.datasets.proposals.photos import folder_of_photos, photo

pytest.importorskip('skimage')


@pytest.fixture
def images(tmp_path):
    return folder_of_photos(tmp_path / 'images', 4)


def test_options_reach_the_file(images, tmp_path, capsys):
    out = tmp_path / 'p.npz'
    options = '--scale 200 --sigma 0.5 --min-size 60 --min-side 20 --max-aspect 2 --no-exif'
    command = f'{images} {out} --workers 1 {options} --box-size 0.2 0.7'
    assert tool.main(command.split()) == 0
    assert ProposalStore.open(out).parameters == dict(
        producer='numba',
        scale=200,
        sigma=0.5,
        min_size=60,
        min_side=20,
        max_aspect=2,
        size=[0.2, 0.7],
        exif=False,
    )
    assert '4 images in' in capsys.readouterr().out


def test_shards_merge_and_validate(images, tmp_path, capsys):
    out = tmp_path / 'p.npz'
    for shard in ('0/2', '1/2'):
        command = [str(images), str(out), '--workers', '1', '--shard', shard]
        assert tool.main(command) == 0
    assert 'with --merge' in capsys.readouterr().out
    assert tool.main([str(images), str(out), '--merge']) == 0
    assert tool.main([str(images), str(out), '--validate']) == 0
    assert 'fits' in capsys.readouterr().out
    (images / '0.png').rename(images / '9.png')
    assert tool.main([str(images), str(out), '--validate']) == 1
    assert '1 images are not in' in capsys.readouterr().out


def test_a_file_that_kept_each_box_once_is_neither_extended_nor_judged(images, tmp_path, capsys):
    out = tmp_path / 'p.npz'
    assert tool.main([str(images), str(out), '--workers', '1']) == 0
    with np.load(out) as kept:
        arrays = {key: kept[key] for key in kept.files if key != 'counts'}
    facts = json.loads(arrays['facts'].tobytes()) | dict(format=1)
    arrays['facts'] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(out, **arrays)
    before = out.read_bytes()
    capsys.readouterr()
    for mode in ([], ['--validate'], ['--merge']):
        assert tool.main([str(images), str(out), '--workers', '1', *mode]) == 2
        error = capsys.readouterr().err
        assert 'format 1, which kept repeated boxes only once' in error
        assert 'remove it and make it anew' in error
        assert error.count('\n') == 1
    assert out.read_bytes() == before


def test_bad_images_are_listed_and_counted(images, tmp_path, capsys):
    (images / '0.png').write_bytes(b'no image')
    assert tool.main([str(images), str(tmp_path / 'p.npz'), '--workers', '2']) == 0
    error = capsys.readouterr().err
    assert 'skipped 0.png: not an image' in error
    assert '1 of 4 images cannot be read' in error


def test_searches_are_drawn_without_making_a_file(images, tmp_path, capsys):
    (images / '0.png').write_bytes(b'no image')
    assert tool.main([str(images), str(tmp_path / 'p.npz'), '--draw', '3']) == 0
    said = capsys.readouterr()
    assert '0.png' in said.err
    assert f'wrote {tmp_path / "p.png"}' in said.out
    width, height = Image.open(tmp_path / 'p.png').size
    assert width > height > 100
    assert not (tmp_path / 'p.npz').exists()
    assert tool.main([str(images), str(tmp_path / 'p.npz'), '--draw', '0']) == 2


def test_mistakes_are_one_line(images, tmp_path, capsys):
    for command, message in (
        ([str(tmp_path / 'none'), 'out.npz'], 'error: there is no folder'),
        ([str(images), 'out.npz', '--box-size', '0.9', '0.1'], 'error: size must be a range'),
        ([str(images), str(tmp_path / 'p.npz'), '--merge'], 'error: 4 of 4 images have not'),
        ([str(images), str(tmp_path / 'p.npz'), '--validate'], 'error: there is no proposals file'),
    ):
        assert tool.main(command) == 2
        error = capsys.readouterr().err
        assert error.startswith(message)
        assert error.count('\n') == 1
    with pytest.raises(SystemExit):
        tool.main([str(images), 'out.npz', '--shard', '4/4'])


def test_interrupt_says_how_to_go_on(images, tmp_path, capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmdssl.datasets.proposals.making.make_proposals', interrupted)
    assert tool.main([str(images), str(tmp_path / 'p.npz')]) == 130
    assert 'the same command resumes' in capsys.readouterr().err


def test_images_of_n_channels_need_no_other_command(tmp_path, capsys):
    """Chosen channels of a known range are the photo they are made of, in a file that says so."""
    images, out = tmp_path / 'five', tmp_path / 'p.npz'
    images.mkdir()
    pixels = photo(0)
    np.save(images / '0.npy', np.concatenate([pixels[..., :1], pixels], axis=2).astype(np.int16))
    command = [str(images), str(out), '--workers', '1', '--channels', '4']
    assert tool.main([*command, '--range=0,255', '--colours', '2,3,4']) == 0
    store = ProposalStore.open(out)
    assert store.parameters['channel_range'] == [[0, 255]] * 4
    assert len(store.boxes('0.npy', unique=True)) > 1
    assert tool.main([*command, '--colours', '2,3,4', '--validate']) == 0  # the range that it has
    capsys.readouterr()
    for words, sentence in (
        (['--range=0,255', '--colours', '2,3,5'], 'colours=2,3,5: give the three channels'),
        (['--range=9,3'], 'scale=(9, 3): give the value that becomes white'),
        (['--colours', '2,3,4', '--nodata', '7'], 'made with nodata=None, not 7.0'),
    ):
        assert tool.main([*command, *words]) == 2
        assert sentence in capsys.readouterr().err
    for words in (['--range=dark'], ['--colours', 'red']):
        with pytest.raises(SystemExit):
            tool.main([*command, *words])
    with pytest.raises(SystemExit):
        tool.main([str(images), str(out), '--colours', '1,2,3'])
    assert 'give --channels as well' in capsys.readouterr().err
