"""Which network a word means, with which weights and normalisation; sentences on bad words."""

import json
import sys

import pytest
import torch

from mmdssl.engine.card.networks import fingerprint_of, open_network, open_networks
from mmdssl.registry import MODELS

VIT = dict(
    type='DenseViT',
    arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48),
    img_size=32,
    patch_size=8,
)


@pytest.fixture
def config(tmp_path):
    file = tmp_path / 'tiny.py'
    file.write_text(
        f"default_scope = 'mmdssl'\nmodel = dict(type='FeatureExtractor', backbone={VIT})\n"
    )
    return file


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(7)
    net = MODELS.build(VIT)
    path = tmp_path / 'net.pth'
    torch.save({f'backbone.{name}': value for name, value in net.state_dict().items()}, path)
    return path, net


def test_a_config_with_a_checkpoint_and_without(config, weights):
    path, net = weights
    mine, floor = open_networks([f'mine={config}:{path}', f'{config}:untrained'])
    assert (mine.name, mine.weights) == ('mine', str(path))
    assert (floor.name, floor.weights) == ('tiny-untrained', 'untrained')
    assert mine.fingerprint == fingerprint_of(net) != floor.fingerprint
    assert not mine.extractor.backbone.training
    again = open_network(f'{config}:untrained')
    assert again.fingerprint == floor.fingerprint
    assert open_network(f'{config}:untrained', seed=1).fingerprint != floor.fingerprint


def test_torchvision_without_and_with_weights(tmp_path):
    first = open_network('torchvision:resnet18:untrained')
    assert (first.name, first.weights) == ('torchvision-resnet18-untrained', 'untrained')
    path = tmp_path / 'theirs.pth'
    torch.save(first.extractor.backbone.wrapped.state_dict(), path)
    second = open_network(f'again=torchvision:resnet18:{path}', seed=3)
    assert second.fingerprint == first.fingerprint
    assert second.extractor.upsample_c4


def test_published_weights_that_cannot_be_had_are_one_sentence(monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError('no route to host\nmore')

    monkeypatch.setattr('mmdssl.models.backbones.torchvision_backbone.get_model', unreachable)
    message = r'resnet18 cannot be loaded \(no route to host\): give a file, torchvision:resnet18:'
    with pytest.raises(ValueError, match=message):
        open_network('torchvision:resnet18')


def test_timm_normalises_as_it_was_trained():
    pytest.importorskip('timm', reason='timm is an extra')
    found = open_network('timm:vit_tiny_patch16_224.augreg_in21k:untrained')
    assert list(found.extractor.data_preprocessor.mean) == [127.5] * 3


def test_hugging_face_normalises_as_its_folder_says(tmp_path):
    transformers = pytest.importorskip('transformers', reason='transformers is an extra')
    settings = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=32)
    net = transformers.Dinov2Model(transformers.Dinov2Config(patch_size=8, **settings))
    net.save_pretrained(tmp_path / 'net')
    statistics = dict(image_mean=[0.5, 0.5, 0.5], image_std=[0.25, 0.25, 0.25])
    (tmp_path / 'net' / 'preprocessor_config.json').write_text(json.dumps(statistics))
    found = open_network(f'hf:{tmp_path / "net"}')
    assert (found.name, found.weights) == ('hf-net', str(tmp_path / 'net'))
    assert list(found.extractor.data_preprocessor.std) == [63.75] * 3
    want = net.state_dict()['layernorm.weight']
    assert torch.equal(found.extractor.backbone.wrapped.layernorm.weight, want)


@pytest.mark.parametrize(
    ('word', 'message'),
    [
        ('nowhere.pth', 'is no checkpoint and no folder of a run, and none of CONFIG:CHECKPOINT'),
        ('torchvision:', 'torchvision: names no network'),
        ('torchvision:resnet17:untrained', "torchvision has no network 'resnet17'"),
        ('torchvision:resnet18:lost.pth', 'there is no checkpoint lost.pth for torchvision:resnet'),
        ('hf:nowhere', 'there is no folder nowhere of save_pretrained'),
        ('{config}:lost.pth', 'there is no checkpoint lost.pth for'),
        ('nowhere.py:untrained', 'no config file nowhere.py'),
        ('name=', 'is not NAME=BACKBONE'),
    ],
)
def test_bad_words_are_named(config, word, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        open_network(word.format(config=config))


def test_a_config_alone_is_told_how_to_be_measured(config):
    from mmdssl.engine.card import networks

    with pytest.raises(FileNotFoundError, match=r':untrained is its network without weights'):
        networks.open_network('object_knn/mobilenet-v2_coco-mini')
    with pytest.raises(ValueError, match=config.name):  # a file, but no weights
        open_network(str(config))


def test_two_of_one_name_and_none_are_refused(config):
    with pytest.raises(ValueError, match="two networks are named 'tiny-untrained': give NAME="):
        open_networks([f'{config}:untrained'] * 2)
    with pytest.raises(ValueError, match='name at least one backbone'):
        open_networks([])


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match='TimmBackbone needs timm'):
        open_network('timm:resnet18:untrained')
