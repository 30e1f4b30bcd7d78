"""MCS: 1 for nets that know no places, less with zero padding, and less the deeper."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.dataset import default_collate
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmdssl.datasets.diagnostics.image_grids import ImageGrids
from mmdssl.evaluation.measure import measure
from mmdssl.registry import METRICS
from tests.evaluation.toy_backbones import PaddedNet, ShiftNet

LAYERS = ('layer1', 'layer2', 'layer3', 'layer4')
RAW = dict(type='MultiViewPreprocessor')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('pictures')
    generator = np.random.default_rng(0)
    for number in range(4):
        pixels = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((96, 80), Image.BICUBIC).save(root / f'{number}.png')
    return root


def loader(folder, **settings) -> DataLoader:
    settings = dict(num=4, cell=56, stride=8, cache=False) | settings
    return DataLoader(ImageGrids(data_root=folder, **settings), 2, collate_fn=default_collate)


def mcs(net: nn.Module, data: DataLoader, layers=LAYERS) -> dict[str, float]:
    metric = METRICS.build(dict(type='PositionalSimilarity'))
    return measure(net, RAW, data, [metric], layers=layers, progress=False)


def test_a_shift_equivariant_net_knows_no_places_at_any_layer(folder):
    found = mcs(ShiftNet(padding='circular'), loader(folder))
    assert [found[f'mcs/{layer}/mean'] for layer in LAYERS] == pytest.approx([1] * 4, abs=1e-6)
    assert found['mcs/layer1/num'] == 4


class PlacedNet(ShiftNet):
    """Convolutions without padding whose map is put back where its cells look in the image."""

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (F.pad(super().forward(images)[0], (2,) * 4),)


def test_without_padding_boxes_inside_the_valid_area_score_one(folder):
    net = PlacedNet(depth=2)  # two cells a side of the map are empty
    inside = mcs(net, loader(folder, margin=20), ['last'])  # and half a cell to interpolate
    assert inside['mcs/last/mean'] == pytest.approx(1, abs=1e-5)
    assert mcs(net, loader(folder), ['last'])['mcs/last/mean'] < 0.999


def test_zero_padding_tells_places_apart_and_more_so_the_deeper(folder):
    found = mcs(PaddedNet(), loader(folder))
    means = [found[f'mcs/{layer}/mean'] for layer in LAYERS]
    assert means[0] < 1 - 1e-5
    assert all(deeper < earlier for earlier, deeper in pairwise(means))
    assert found['mcs/layer4/corners'] < found['mcs/layer4/edges']


def test_copies_at_other_phases_differ_even_without_padding(folder):
    found = mcs(ShiftNet(padding='circular'), loader(folder, cell=60, stride=None), ['last'])
    assert found['mcs/last/mean'] < 1 - 1e-5


def test_numbers_are_those_of_slices_of_the_map(folder):
    data = loader(folder)
    net = PaddedNet(depth=3)
    expected = []
    for sample in data.dataset:
        mean, std = (
            torch.tensor(v)[:, None, None]
            for v in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
        )
        with torch.no_grad():
            (features,) = net((sample['inputs'].float() - mean) / std)  # (1, C, 21, 21)
        cells = [
            features[0, :, 7 * row : 7 * row + 7, 7 * column : 7 * column + 7].mean(dim=(1, 2))
            for row in range(3)
            for column in range(3)
        ]
        others = [cell for number, cell in enumerate(cells) if number != 4]
        expected.append([F.cosine_similarity(cells[4], one, dim=0).item() for one in others])
    metric = METRICS.build(dict(type='PositionalSimilarity'))
    found = measure(net, RAW, data, [metric], progress=False)
    np.testing.assert_allclose(metric.values['last'], expected, atol=1e-5)
    values = np.array(expected)
    assert found['mcs/last/mean'] == pytest.approx(values.mean(), abs=1e-6)
    assert found['mcs/last/corners'] == pytest.approx(values[:, [0, 2, 5, 7]].mean(), abs=1e-6)
    assert found['mcs/last/edges'] == pytest.approx(values[:, [1, 3, 4, 6]].mean(), abs=1e-6)


@pytest.mark.parametrize('shape', [(1, 8, 4), (1, 4, 4), (2, 9, 4), (1, 1, 4)])
def test_regions_that_form_no_grid_are_refused(shape):
    metric = METRICS.build(dict(type='PositionalSimilarity'))
    with pytest.raises(ValueError, match='form no square grid with a centre'):
        metric.process({}, [dict(diagnostic_features=dict(last=torch.ones(shape)))])
