"""Leopart starts from a file of DINO's own code once mmdssl convert has renamed it."""

import pytest
import torch

from mmdssl.cli.convert import main
from tests.conversion.nets import PlainViT, shaken
from tests.models.tiny_leopart import GRID, PATCH, SIDE, leopart_batch, tiny_leopart


def dino(seed: int = 0) -> PlainViT:
    net = PlainViT(width=24, depth=2, hidden=48, heads=3, patch=PATCH, tokens=1 + GRID**2)
    return shaken(net, seed)


def published(teacher: PlainViT) -> dict:
    """The bare backbone, as dino_deitsmall16_pretrain.pth holds it."""
    return teacher.state_dict()


def trained(teacher: PlainViT) -> dict:
    """Both networks with their heads, as a training run of DINO leaves them."""

    def network(net: PlainViT, prefix: str) -> dict:
        state = {f'{prefix}backbone.{name}': value for name, value in net.state_dict().items()}
        return state | {f'{prefix}head.mlp.0.weight': torch.ones(2, 2)}

    return dict(student=network(dino(seed=1), 'module.'), teacher=network(teacher, ''), epoch=100)


@pytest.mark.parametrize('kind', [published, trained])
def test_imported_dino_file_is_the_start(kind, tmp_path):
    teacher = dino()
    torch.save(kind(teacher), tmp_path / 'dino.pth')
    start = tmp_path / 'start.pth'
    assert main(['import', str(tmp_path / 'dino.pth'), '--from', 'dino', '--out', str(start)]) == 0

    model = tiny_leopart(init=str(start)).eval()
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        want = teacher(images)
        for backbone in (model.backbone, model.teacher.backbone):
            torch.testing.assert_close(backbone.forward_tokens(images), want)
    assert model.train().loss(leopart_batch())['loss_assign'].isfinite()


def test_file_that_was_not_imported_says_that_it_does_not_fit(tmp_path):
    torch.save(published(dino()), tmp_path / 'dino.pth')
    with pytest.raises(ValueError, match='covers too little'):
        tiny_leopart(init=str(tmp_path / 'dino.pth'))
