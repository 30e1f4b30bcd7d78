import pytest
import torch

from tests.models.tiny import tiny_batch, tiny_ibot
from tests.models.tiny_leopart import leopart_batch, tiny_leopart

BRANCH = dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.5)
HOSTS = {
    'iBOT': (tiny_ibot, tiny_batch),
    'iBOT, pixels': (lambda **kw: tiny_ibot(**_pixels(kw)), tiny_batch),
    'Leopart': (tiny_leopart, leopart_batch),
}


def _pixels(settings):
    return dict(decoupling=dict(settings['decoupling'], mix_level='pixel', detach=None))


def _gradients(model, batch):
    losses = model.loss(batch)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    return losses, [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize('name', HOSTS)
def test_one_pass_of_views_and_x_d_equals_two(name, monkeypatch):
    build, make = HOSTS[name]
    together, apart = build(decoupling=BRANCH).double(), build(decoupling=BRANCH).double()
    batch = make()
    batch['views'] = [view.double() for view in batch['views']]
    calls = []
    block = together.backbone.layers[0]
    block.register_forward_hook(lambda _, args, out: calls.append(len(args[0])))
    found, gradients = _gradients(together, batch)
    # A net without forward_embedded sees X^D in a pass of its own.
    monkeypatch.delattr(type(apart.backbone), 'forward_embedded')
    monkeypatch.setattr(
        type(apart.backbone),
        'forward_tokens',
        lambda self, images, **embedding: _plain(self, self.embed(images, **embedding)[0]),
    )
    wanted, others = _gradients(apart, batch)
    assert len(calls) == (1 if name.startswith('iBOT') else 2)  # Leopart: one per size of crops
    assert calls[0] > 2 * len(batch['views'][0])  # both views and X^D
    for key in wanted:
        torch.testing.assert_close(found[key], wanted[key], rtol=1e-9, atol=1e-10)
    for one, two in zip(gradients, others, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-9)


def _plain(net, tokens):
    for layer in net.layers:
        tokens = layer(tokens)
    return net.ln1(tokens) if net.final_norm else tokens
