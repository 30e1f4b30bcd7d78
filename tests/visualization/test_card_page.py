"""The page of cards: cells, what is missing, several networks, and its pictures."""

import numpy as np
import pytest

from mmdssl.visualization.card_page import write_card_page
from mmdssl.visualization.card_values import SECTIONS, card_rows

LAYERS = {'25 %': 'layer1', '100 %': 'last'}


def card(name, *, numbers, missing=None, **groups):
    side = dict(images=3, objects=5, of_images=9, file='a.json', left_out=[])
    found = {'objects': dict(numbers=numbers, selection={}, seconds=60.0)}
    found |= {key: dict(seconds=0.0, **value) for key, value in groups.items()}
    content = dict(
        network=name, folder=name, backbone='run', weights='w.pth', groups=found,
        missing=missing or {}, versions='torch 2', hardware='cpu', command='mmdssl card',
        data=dict(bank=side, query=side, photos=dict(copied=2)),
        asked=dict(settings=dict(size=64, seed=0, bootstrap=10)),
    )  # fmt: skip
    return content | dict(rows=card_rows(content))


NUMBERS = {
    'oknn/top1': 50.0, 'oknn/top1_low': 40.0, 'oknn/top1_high': 61.25, 'oknn/num_query': 7,
    'artefacts/median': 2e-8, 'artefacts/images': 3,
}  # fmt: skip


def test_rows_tell_value_interval_and_reason():
    found = card(
        'a', numbers=NUMBERS, missing={'objects/affinity': 'no outlines', 'intra': 'boxes'}
    )
    rows = {(one['section'], one['measure']): one for one in found['rows']}
    assert len(rows) == sum(len(values) for _, values in SECTIONS.values())
    first = rows['Objects by nearest neighbours, %', 'O-KNN, top-1']
    assert (first['value'], first['low'], first['high'], first['n']) == (50, 40, 61.25, 7)
    assert rows['Patches of one object', 'affinity, outputs']['reason'] == 'no outlines'
    assert rows['Coupling and background', 'within, rest exchanged']['reason'] == 'boxes'
    lost = rows['Object discovery, CorLoc in %', 'LOST, keys']
    assert lost['reason'] == 'not measured of this network'


def test_the_error_of_local_consistency_is_that_of_a_mean():
    lsc = {'lsc/mean': 0.5, 'lsc/std': 0.3, 'lsc/num_images': 10}
    found = card('a', numbers={}, consistency=dict(numbers=lsc, selection={}))
    (row,) = [one for one in found['rows'] if one['measure'] == 'LSC']
    values = np.random.default_rng(0).normal(size=10)
    values = 0.5 + 0.3 * (values - values.mean()) / values.std()
    assert row['error'] == pytest.approx(values.std(ddof=1) / 10**0.5)


def test_cells_of_networks_stand_side_by_side(tmp_path):
    (tmp_path / 'b').mkdir()
    values = np.random.default_rng(0).normal(size=(4, 8))
    np.savez(tmp_path / 'b' / 'mcs.npz', layer1=values, last=values)
    position = {'mcs/25 %/mean': 0.9, 'mcs/25 %/se': 0.01, 'mcs/25 %/num': 4}
    own = dict(numbers=position, selection=dict(layers=LAYERS))
    cards = [card('a', numbers=NUMBERS), card('b', numbers={}, position=own)]
    page = write_card_page(cards, tmp_path, title='<two>').read_text()
    assert '<td>50.0 [40.0, 61.2]</td><td>not measured</td>' in page
    assert '<td>2.0e-08</td>' in page
    assert '<td>0.900 ± 0.010</td>' in page
    assert '&lt;two&gt;' in page
    assert '<main>' in page
    many = write_card_page(2 * cards, tmp_path, title='four').read_text()
    assert '<main class="wide">' in many
    assert page.count('src="data:image/png') == 2  # scores of one, position of the other
    assert '<td>7 objects</td>' in page
