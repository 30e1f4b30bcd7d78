"""Shipped configs are found by their names, all of them."""

import pytest

from mmdssl.engine.pretraining.catalogue import (
    continued,
    known_methods,
    named,
    shipped_configs,
    variants,
)


def test_every_published_pretraining_config_is_found():
    methods = {one.method for one in shipped_configs() if one.data == 'coco'}
    hosts = {'ibot', 'densecl', 'pointlevel', 'pixpro', 'byol', 'resim', 'soco', 'maskalign'}
    hosts |= {'leopart'}
    assert methods >= hosts | {f'{host}-d' for host in hosts} | {'mocov2', 'd3ssl', 'soco-rcc'}
    assert not any('transfer' in one.path.parts for one in shipped_configs())


@pytest.mark.parametrize(
    'method', sorted({one.method for one in shipped_configs() if one.data == 'coco'})
)
def test_the_published_config_comes_first_and_a_small_one_last(method):
    found = variants(method)
    assert found[0].data == 'coco'
    assert [one.small for one in found] in ([False], [False, True])
    lengths = {
        one.schedule for one in shipped_configs() if one.method == method and one.data == 'coco'
    }
    if 'coslr-800e' in lengths:  # not the 900 epochs that are a control, nor the ablations' 200
        assert found[0].schedule == 'coslr-800e'


def test_backbones_go_by_their_short_names():
    assert named(variants('ibot'), 'vit-small').backbone == 'vit-small-p16'
    assert named(variants('soco'), 'resnet50').backbone == 'resnet50-c4'
    assert named(variants('ibot'), 'vit') is not None  # whatever of the family comes first
    assert named(variants('ibot'), 'resnet50') is None


def test_a_misspelt_method_is_told_with_what_is_meant():
    with pytest.raises(ValueError, match=r"no method 'ibotd' \(is ibot-d meant\?\).*leopart"):
        variants('ibotd')


def test_configs_that_go_on_from_a_given_backbone_are_apart():
    found = [one.backbone for one in continued('ibot-d')]
    assert found == ['dinov2-reg-small-p14', 'dinov2-small-p14', 'dinov3-small-p16']
    assert not any(one.continues for one in variants('ibot-d'))
    assert continued('ibot') == []
    assert all(one.continues for one in variants('ibot-d-gram'))  # which has no others
    assert 'ibot-d-gram' in known_methods()
