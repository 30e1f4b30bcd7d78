"""Both formats hold the same, damaged files are one sentence, names are checked first."""

import pytest
import torch

from mmdssl.conversion.files import check_target, write_weights
from mmdssl.core.reading import load_checkpoint_file


@pytest.mark.parametrize('ending', ['.pth', '.pt', '.safetensors'])
def test_both_formats_read_back_equal_also_views_and_scalars(ending, tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    state = dict(a=whole, b=whole.T, c=whole[1], d=torch.tensor(7))
    write_weights(state, dict(method='SoCo', epoch=3), tmp_path / f'x{ending}')
    content = load_checkpoint_file(tmp_path / f'x{ending}')
    assert content['meta']['method'] == 'SoCo'
    assert {*content['state_dict']} == {*state}
    for name, value in state.items():
        assert torch.equal(content['state_dict'][name], value)


def test_damaged_safetensors_are_one_sentence(tmp_path):
    (tmp_path / 'x.safetensors').write_bytes(b'no tensors')
    with pytest.raises(ValueError, match='is no safetensors file: it is a text file'):
        load_checkpoint_file(tmp_path / 'x.safetensors')


def test_unknown_endings_and_the_input_itself_are_refused(tmp_path):
    source = tmp_path / 'a.pth'
    source.touch()
    with pytest.raises(ValueError, match='cannot tell the format'):
        check_target(tmp_path / 'a.ckpt', source)
    with pytest.raises(ValueError, match='is the input itself'):
        check_target(source, source)
