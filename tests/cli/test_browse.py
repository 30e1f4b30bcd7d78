"""The browser draws what the config feeds its model."""

import pytest
from PIL import Image

from mmdssl.cli.browse import main
from mmdssl.datasets.proposals.filters import ProposalFilter
from mmdssl.datasets.proposals.making import make_proposals
from mmdssl.datasets.proposals.producers import ProposalSettings
from tests.tiny_scenes import CONFIG, write_tiny_scenes


def test_batches_and_decoupled_views_are_written(tmp_path, capsys):
    data = write_tiny_scenes(tmp_path / 'data')
    out = tmp_path / 'out'
    options = ['--num-batches', '2', '--max-images', '3', '--cfg-options', f'data_root={data}']
    assert main([str(CONFIG), '--out', str(out), *options]) == 0
    names = ['batch_000.png', 'batch_001.png', 'xd_000.png', 'xd_001.png']
    assert sorted(file.name for file in out.iterdir()) == names
    pictures = [(out / name).read_bytes() for name in names]
    assert len(set(pictures)) == 4
    with Image.open(out / names[0]) as drawn:
        assert drawn.height > 900  # ten rows of two views
    assert 'batch_001.png' in capsys.readouterr().out


def test_plain_config_has_no_decoupled_views(tmp_path):
    data = write_tiny_scenes(tmp_path / 'data')
    config = CONFIG.with_name('ibot_vit-micro-p16_1xb24-250i_scenes.py')
    out = tmp_path / 'out'
    options = ['--num-batches', '1', '--max-images', '2', '--cfg-options', f'data_root={data}']
    assert main([str(config), '--out', str(out), *options]) == 0
    assert [file.name for file in out.iterdir()] == ['batch_000.png']


def test_missing_data_and_senseless_numbers_are_one_line(tmp_path, capsys):
    assert main([str(CONFIG), '--cfg-options', f'data_root={tmp_path}/none']) == 2
    assert capsys.readouterr().err.startswith('error: ')
    with pytest.raises(SystemExit):
        main([str(CONFIG), '--num-batches', '0'])
    assert '--num-batches: 0 must be at least 1' in capsys.readouterr().err


def test_methods_that_look_before_they_learn_have_a_picture_of_it(tmp_path, capsys):
    data = write_tiny_scenes(tmp_path / 'data')
    few = ['--num-batches', '1', '--max-images', '2', '--cfg-options', f'data_root={data}']
    maskalign, leopart = (
        str(next(CONFIG.parent.glob(f'{name}_*.py'))) for name in ('maskalign', 'leopart')
    )
    out = tmp_path / 'maskalign'
    assert main([maskalign, '--out', str(out), *few, 'model.teacher.checkpoint=none.pth']) == 0
    assert [file.name for file in out.iterdir()] == ['batch_000.png']  # no teacher to look with
    assert 'no teacher at none.pth' in capsys.readouterr().err
    random = ['model.teacher.init=random']
    assert main([maskalign, '--out', str(out), *few, *random]) == 0
    assert (out / 'attentive_000.png').exists()
    assert main([maskalign, '--out', str(out), '--checkpoint', 'run.pth', *few, *random]) == 2
    assert 'leave it out' in capsys.readouterr().err
    out = tmp_path / 'd3ssl'
    d3ssl = next(CONFIG.parent.glob('d3ssl_*.py'))
    small = ProposalSettings(filter=ProposalFilter(min_side=10))
    make_proposals(data / 'train', data / 'proposals/ss_train.npz', small, progress=False)
    anyhow = ['train_dataloader.dataset.pipeline.1.expect=None', 'train_dataloader.batch_size=4']
    assert main([str(d3ssl), '--out', str(out), *few, *anyhow]) == 0
    for name in ('batch', 'd3ssl', 'regions'):
        assert Image.open(out / f'{name}_000.png').size[0] > 300
    out = tmp_path / 'leopart'
    assert main([leopart, '--out', str(out), *few, 'model.init=random']) == 0
    assert (out / 'leopart_000.png').exists()
