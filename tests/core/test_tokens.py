"""Names and widths may fit and the network be another: tables, class token, registers."""

import pytest
import torch

from mmdssl.conversion.convert import import_weights
from mmdssl.core.tokens import extra_tokens, other_table, table_side
from mmdssl.models.backbones.sincos_vit import SinCosViT
from mmdssl.models.utils.backbone_weights import load_backbone
from tests.commands import run_command
from tests.conversion.nets import VIT, PlainViT, vit


def theirs(rows=17):
    torch.manual_seed(0)
    return PlainViT(24, 2, 48, 3, 8, rows).state_dict()


@pytest.fixture
def imported(tmp_path):
    def result(state, source='timm'):
        torch.save(state, tmp_path / 'net.pth')
        return import_weights(tmp_path / 'net.pth', source=source)

    return result


@pytest.mark.parametrize('side', [2, 7, 8, 14, 16, 28, 32])
def test_tables_of_every_kind_are_told_apart(side):
    patches = side**2
    assert other_table(1 + patches) is None
    assert table_side(1 + patches) == side
    kinds = {0: 'no row for the class', 2: 'distillation', 5: '4 registers', 9: '8 registers'}
    for extra, word in kinds.items():
        if extra == 5 and side == 2:
            continue  # 9 rows are also a table of 3 x 3 patches without a class token
        rows, sentence = other_table(extra + patches)
        assert rows == 1 + patches
        assert word in sentence
        with pytest.raises(ValueError, match=word):
            table_side(extra + patches)


def test_grids_that_are_not_square_are_left_alone():
    assert other_table(1 + 16 * 8) is None
    with pytest.raises(ValueError, match=r'129 rows.*no square grid of patches \(128\)'):
        table_side(1 + 16 * 8)
    assert other_table(1)[0] == 2


@pytest.mark.parametrize('rows', [16, 18, 21, 25])
@pytest.mark.parametrize('source', ['timm', 'dino'])
def test_another_table_is_another_network(imported, tmp_path, rows, source, capsys):
    result = imported(theirs(rows), source)
    assert len(result.faults) == 1
    assert result.coverage < 1
    assert f'(1, {rows}, 24) instead of (1, ' in result.reports[0].mismatched[0]
    command = ('convert', 'import', tmp_path / 'net.pth', '--from', source, '--min-coverage', 0)
    assert run_command(*command, '--out', tmp_path / 'o.pth') == 1
    assert 'nothing was written' in capsys.readouterr().err
    assert not (tmp_path / 'o.pth').exists()


@pytest.mark.parametrize('name', ['reg_token', 'register_tokens', 'dist_token'])
def test_further_tokens_are_another_network(imported, name):
    assert imported(theirs()).faults == ()
    result = imported({**theirs(), name: torch.zeros(1, 4, 24)})
    assert len(result.faults) == 1
    assert name in result.faults[0]
    assert extra_tokens([f'backbone.{name}', 'cls_token', 'mask_token']) == [f'backbone.{name}']


@pytest.mark.parametrize('name', ['cls_token', 'pos_embed', 'patch_embed.proj.weight'])
def test_what_all_features_depend_on_must_be_there(imported, name):
    state = theirs()
    del state[name]
    assert any('lacks' in fault for fault in imported(state).faults)


@pytest.mark.parametrize('name', ['cls_token', 'pos_embed', 'patch_embed.projection.weight'])
def test_loading_refuses_a_backbone_without_it(tmp_path, name):
    state = vit().state_dict()
    del state[name]
    torch.save(state, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=f'lacks {name}'):
        load_backbone(vit(), tmp_path / 'a.pth', min_coverage=0)


def test_loading_refuses_registers_and_tables_of_another_kind(tmp_path):
    state = vit().state_dict()
    torch.save({**state, 'reg_token': torch.zeros(1, 4, 24)}, tmp_path / 'r.pth')
    with pytest.raises(ValueError, match='has reg_token as well'):
        load_backbone(vit(), tmp_path / 'r.pth')
    for rows, word in ((18, 'distillation'), (16, 'no row for the class'), (21, 'registers')):
        torch.save({**state, 'pos_embed': torch.zeros(1, rows, 24)}, tmp_path / 'p.pth')
        with pytest.raises(ValueError, match=rf'p\.pth does not fit.*{rows} rows.*{word}'):
            load_backbone(vit(), tmp_path / 'p.pth')
    torch.save({**state, 'pos_embed': torch.zeros(1, 50, 24)}, tmp_path / 'p.pth')
    assert load_backbone(vit(), tmp_path / 'p.pth').coverage == 1  # 7 x 7 are resized


def test_a_constant_table_need_not_be_in_the_file(tmp_path):
    net = SinCosViT(**VIT)
    state = net.state_dict()
    del state['pos_embed']
    torch.save(state, tmp_path / 'a.pth')
    load_backbone(net, tmp_path / 'a.pth')
