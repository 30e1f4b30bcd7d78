"""Probes: what is interpolated, what is scored, and that a frozen backbone stays as it is."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData

pytest.importorskip('mmcv._ext', reason='mmseg needs the compiled ops of mmcv')
pytest.importorskip('mmseg')

from mmseg.structures import SegDataSample

from mmdssl.registry import MODELS
from mmdssl.transfer.dense_probe import DenseProbe


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def probe(**changes) -> DenseProbe:
    """One tap of a tiny ViT, 2 x 2 patches of 8 pixels, three classes, maps of 5 x 5."""
    torch.manual_seed(0)
    settings = dict(
        type='mmdssl.DenseProbe',
        map_size=5,
        data_preprocessor=dict(
            type='SegDataPreProcessor', mean=[100] * 3, std=[50] * 3, size=(16, 16)
        ),
        backbone=dict(
            type='mmdssl.TapViT',
            arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
            img_size=16,
            patch_size=8,
            out_indices=(1,),
            tap_norm=True,
            drop_path_rate=0.5,
        ),
        decode_head=dict(
            type='FCNHead',
            in_channels=16,
            in_index=-1,
            channels=16,
            num_convs=0,
            concat_input=False,
            dropout_ratio=0.0,
            num_classes=3,
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
        ),
        test_cfg=ConfigDict(mode='whole'),
    )
    model = MODELS.build(settings | changes)
    model.init_weights()
    return model


def batch() -> dict:
    generator = torch.Generator().manual_seed(1)
    samples = []
    for _ in range(2):
        labels = torch.randint(0, 3, (1, 5, 5), generator=generator)
        labels[0, 0, 0] = 255
        sample = SegDataSample(metainfo=dict(img_shape=(16, 16), ori_shape=(5, 5)))
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    images = torch.randint(0, 256, (2, 3, 16, 16), generator=generator, dtype=torch.uint8)
    return dict(inputs=list(images), data_samples=samples)


def by_hand(model: DenseProbe, data: dict) -> torch.Tensor:
    """Scores (N, 3, 5, 5): features, interpolation, 1 x 1 convolution."""
    images = (torch.stack(data['inputs']).float() - 100) / 50
    model.backbone.eval()  # not in one line: mmpretrain's returns nothing
    with torch.no_grad():
        features = model.backbone(images)[0]  # (2, 16, 2, 2)
    features = F.interpolate(features, size=(5, 5), mode='bilinear', align_corners=False)
    head = model.decode_head.conv_seg
    return F.conv2d(features, head.weight, head.bias)


def test_loss_is_that_of_interpolated_features_without_ignored_pixels():
    model, data = probe(), batch()
    model.train()
    truth = torch.cat([s.gt_sem_seg.data for s in data['data_samples']])
    want = F.cross_entropy(by_hand(model, data), truth, ignore_index=255)
    prepared = model.data_preprocessor(data, True)
    losses = model(**prepared, mode='loss')
    torch.testing.assert_close(losses['decode.loss_ce'], want)


def test_predictions_are_of_the_probes_size():
    model, data = probe(), batch()
    want = by_hand(model, data).argmax(dim=1)
    model.eval()
    for sample, labels in zip(model.test_step(data), want, strict=True):
        assert torch.equal(sample.pred_sem_seg.data[0], labels)


@pytest.mark.parametrize('freeze', [True, False])
def test_the_backbone_trains_only_where_it_is_not_frozen(freeze: bool):
    model = probe(freeze_backbone=freeze)
    model.train()
    assert model.backbone.training is not freeze
    assert model.decode_head.training
    before = {name: value.clone() for name, value in model.named_parameters()}
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1))
    model.train_step(batch(), wrapper)
    moved = {name for name, value in model.named_parameters() if not value.equal(before[name])}
    assert any(name.startswith('decode_head') for name in moved)
    assert any(name.startswith('backbone') for name in moved) is not freeze


def test_an_fcn_head_is_two_convolutions_and_one_on_both():
    head = dict(
        type='FCNHead',
        in_channels=16,
        in_index=-1,
        channels=12,
        num_convs=2,
        concat_input=True,
        dropout_ratio=0.1,
        num_classes=3,
    )
    model = probe(decode_head=head)
    assert len(model.decode_head.convs) == 2
    assert model.decode_head.conv_cat.conv.in_channels == 16 + 12
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    assert model._forward(torch.zeros(1, 3, 16, 16)).shape == (1, 3, 5, 5)
