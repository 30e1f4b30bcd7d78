"""Weights that are not numbers are refused by everything that reads a file."""

import pytest
import torch
from mmengine.runner import CheckpointLoader

import mmdssl  # noqa: F401 - guards mmengine's loading
from mmdssl.conversion.convert import export_backbone, import_weights
from mmdssl.conversion.publish import publish
from mmdssl.core.newest import newest_checkpoint
from mmdssl.core.weight_values import check_finite
from mmdssl.models.utils.backbone_weights import load_backbone, read_state_dict
from mmdssl.models.utils.pretrained import load_part
from tests.conversion.nets import checkpoint, resnet, shaken, vit

SAID = r'holds NaN or Inf in 1 of \d+ tensors \(.*ln1\.weight\).*earlier checkpoint'


@pytest.fixture(params=[float('nan'), float('inf'), -float('inf')])
def spoilt(request, tmp_path):
    """A run whose student has one value that is none, at the very end of a tensor."""
    bad = vit()
    with torch.no_grad():
        bad.layers[1].ln1.weight[-1] = request.param
    return checkpoint(tmp_path / 'iter_5.pth', bad, shaken(vit(), 1))


def readers(path, folder):
    yield lambda: export_backbone(path, to='mmdet', what='student')
    yield lambda: import_weights(path, source='mmpretrain')
    yield lambda: publish(path, folder)
    yield lambda: publish(path, folder, keep='student')
    yield lambda: load_backbone(vit(), path, source='student')
    yield lambda: load_part(vit(), path, source='student')
    yield lambda: read_state_dict(path)
    yield lambda: CheckpointLoader.load_checkpoint(str(path), 'cpu')  # of mmdet, mmseg, resuming


def test_every_reader_refuses_them(spoilt, tmp_path):
    for read in readers(spoilt, tmp_path / 'out'):
        with pytest.raises(ValueError, match=SAID):
            read()
    assert not (tmp_path / 'out').exists()  # and nothing is written


def test_the_sound_network_of_the_same_file_is_read(spoilt, tmp_path):
    assert load_backbone(vit(), spoilt, source='teacher').coverage == 1
    publish(spoilt, tmp_path, keep='teacher')
    export_backbone(spoilt, to='timm', what='teacher')


def test_resuming_passes_over_them(tmp_path):
    for number, value in ((1, 1.0), (2, float('nan'))):
        run = dict(
            meta=dict(iter=number),
            state_dict=dict(weight=torch.tensor([value])),
            optimizer=dict(),
            message_hub=dict(),
        )
        torch.save(run, tmp_path / f'iter_{number}.pth')
    found, passed = newest_checkpoint(tmp_path)
    assert found == tmp_path / 'iter_1.pth'
    assert any('NaN or Inf' in sentence for sentence in passed)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64, torch.complex64])
def test_every_kind_of_number(dtype):
    good = dict(a=torch.ones(3, dtype=dtype), n=torch.tensor(7), text='x')
    check_finite(good, 'file')
    with pytest.raises(ValueError, match='1 of 1'):
        check_finite({**good, 'a': good['a'] / 0}, 'file')


def test_masks_may_be_infinite_but_not_nan():
    mask = torch.tensor([0.0, -float('inf')])
    check_finite({'attn_mask': mask}, 'file')
    with pytest.raises(ValueError, match='mask_token'):
        check_finite({'mask_token': mask}, 'file')
    with pytest.raises(ValueError, match='attn_mask'):
        check_finite({'attn_mask': mask * 0}, 'file')


def test_a_resnet_with_bad_statistics(tmp_path):
    net = resnet(18)
    net.bn1.running_var[0] = float('nan')
    with pytest.raises(ValueError, match=r'bn1\.running_var'):
        load_backbone(resnet(18), checkpoint(tmp_path / 'a.pth', net, net))
