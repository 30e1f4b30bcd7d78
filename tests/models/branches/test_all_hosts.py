"""Both branches that are no masks on every method, with one of one's own from the README."""

import re

import pytest
import torch

from tests.conftest import ROOT
from tests.models.algorithms.narrow_d3ssl import d3ssl_batch, narrow_d3ssl
from tests.models.algorithms.narrow_soco import narrow_soco, soco_batch
from tests.models.tiny import tiny_batch, tiny_ibot
from tests.models.tiny_leopart import leopart_batch, tiny_leopart
from tests.models.tiny_maskalign import tiny_batch as maskalign_batch
from tests.models.tiny_maskalign import tiny_maskalign
from tests.models.tiny_neco import tiny_neco
from tests.models.tiny_plrc import three_crops, tiny_plrc
from tests.models.tiny_resnet import (
    place_batch,
    tiny_byol,
    tiny_densecl,
    tiny_pixpro,
    tiny_resim,
    two_views,
    window_batch,
)
from tests.models.tiny_selfemd import tiny_selfemd
from tests.models.tiny_slotcon import tiny_slotcon, two_crops

DECOUPLING = dict(type='DecouplingBranch')
HOSTS = {
    'ibot': (tiny_ibot, tiny_batch),
    'densecl': (tiny_densecl, two_views),
    'mocov2': (lambda **kwargs: tiny_densecl(loss_lambda=0, **kwargs), two_views),
    'pixpro': (tiny_pixpro, place_batch),
    'byol': (tiny_byol, two_views),
    'resim': (tiny_resim, window_batch),
    'soco': (narrow_soco, soco_batch),
    'd3ssl': (narrow_d3ssl, d3ssl_batch),
    'leopart': (tiny_leopart, leopart_batch),
    'neco': (tiny_neco, leopart_batch),
    'maskalign': (tiny_maskalign, maskalign_batch),
    'plrc': (tiny_plrc, three_crops),
    'selfemd': (tiny_selfemd, two_views),
    'slotcon': (tiny_slotcon, two_crops),
}


@pytest.mark.parametrize('name', HOSTS)
def test_every_method_takes_gram_anchoring_and_patch_kernels(name):
    build, batch = HOSTS[name]
    frozen = name == 'maskalign'
    gram = dict(type='GramAnchoring', source='student' if frozen else 'teacher')
    head = None if frozen else dict(hidden_channels=8, out_channels=4)
    plain = build()
    plain.train()
    model = build(branches=[gram, dict(type='PatchKernelAlignment', head=head)])
    model.train()
    torch.manual_seed(2)  # MaskAlign draws which patches are seen
    want = plain(batch(4), mode='loss')
    torch.manual_seed(2)
    found = model(batch(4), mode='loss')
    # Passes for a branch come after the host's own, and are forgotten by its BatchNorms.
    assert {key: found[key].item() for key in want} == {k: v.item() for k, v in want.items()}
    extra = found['loss_gram'] + found['loss_patch_kernel']
    extra.backward()
    moved = [p for p in model.backbone.parameters() if p.grad is not None and p.grad.any()]
    assert moved
    assert all(p.grad.isfinite().all() for p in moved)
    assert all(p.grad is None for p in model.teacher.parameters())
    for key, value in plain.backbone.named_buffers():
        assert value.equal(dict(model.backbone.named_buffers())[key]), key


@pytest.mark.parametrize('name', ['mocov2', 'd3ssl'])
def test_a_method_that_cannot_be_decoupled_refuses_it_in_the_list_too(name):
    build, _ = HOSTS[name]
    for settings in (dict(decoupling=DECOUPLING), dict(branches=[DECOUPLING])):
        with pytest.raises(ValueError, match='decoupling=None'):
            build(**settings)


def test_the_readmes_own_branch_works():
    text = (ROOT / 'projects/README.md').read_text()
    (code,) = re.findall(r'```python\n(from mmdssl.models.branches.*?)```', text, flags=re.DOTALL)
    exec(code, {})
    losses = tiny_ibot(branches=[dict(type='PatchNorm', weight=0.5)]).loss(tiny_batch())
    assert losses['loss_patch_norm'] > 0
