"""The pictures of X^D come from the branch's own code."""

import pytest
import torch
from PIL import Image
from torch import nn

from mmdssl.models.branches.decoupling import DecouplingBranch
from mmdssl.visualization.decoupled import compose_decoupled, draw_decoupled

BATCH = 12


class Identity(nn.Module):
    """Images are 0..255 already."""

    def forward(self, data: dict, training: bool = False) -> dict:
        if isinstance(data['inputs'], torch.Tensor):
            return {'inputs': data['inputs'].float()}
        return data


@pytest.fixture
def inputs() -> dict:
    generator = torch.Generator().manual_seed(3)
    views = [torch.rand(BATCH, 3, 16, 16, generator=generator) * 255 for _ in range(2)]
    masks = [torch.rand(BATCH, 4, 4, generator=generator) < 0.5 for _ in range(2)]
    return {'views': views, 'mask': masks, 'dc_mask': masks}


def test_samples_name_what_they_are_made_of(inputs):
    branch = DecouplingBranch(
        key_views=(0, 1),
        sample_ratio=0.5,
        complement_ratio=0.5,
        select='random',
        background='random',
    )
    samples = compose_decoupled(branch, inputs, step=5)
    assert len(samples) == 12
    assert [sample.complemented for sample in samples] == ([False] * 3 + [True] * 3) * 2
    for sample in samples:
        cut = sample.mask.repeat_interleave(4, 0).repeat_interleave(4, 1)
        key = inputs['views'][sample.view][sample.image]
        partner = inputs['views'][sample.partner_view][sample.partner_image]
        assert sample.partner_image != sample.image
        assert torch.equal(sample.composed[:, ~cut], key[:, ~cut])
        assert torch.equal(sample.composed[:, cut], partner[:, cut])
        drawn = inputs['dc_mask'][sample.view][sample.image]
        assert torch.equal(sample.mask, drawn ^ sample.complemented)


def test_all_channels_are_exchanged(inputs):
    generator = torch.Generator().manual_seed(4)
    inputs['views'] = [torch.randn(BATCH, 5, 16, 16, generator=generator) for _ in range(2)]
    samples = compose_decoupled(DecouplingBranch(select='random', sample_ratio=0.5), inputs, step=5)
    assert samples
    for sample in samples:
        key = inputs['views'][sample.view][sample.image]
        partner = inputs['views'][sample.partner_view][sample.partner_image]
        assert torch.equal(sample.composed, torch.where(sample.keep, key, partner))
        assert 0 < sample.keep.float().mean() < 1


def test_same_step_gives_the_samples_of_the_training_step(inputs):
    branch = DecouplingBranch(select='random', sample_ratio=0.5)

    class Host:
        supports_patch_mixing = False

        def dense_features(self, images, **kwargs):
            self.seen = images
            return images

        def dense_loss(self, features, targets, foreground):
            return features.sum()

    host = Host()
    branch(host, inputs, {0: inputs['views'][0]}, step=7)
    shown = torch.stack([s.composed for s in compose_decoupled(branch, inputs, step=7)])
    assert torch.equal(shown, host.seen)
    other = torch.stack([s.composed for s in compose_decoupled(branch, inputs, step=8)])
    assert not torch.equal(other, host.seen)


def test_the_picture_is_written_and_an_empty_pool_is_an_error(inputs, tmp_path):
    branch = DecouplingBranch(mask_source='pool')
    path = draw_decoupled({'inputs': inputs}, Identity(), tmp_path / 'xd.png', branch=branch)
    with Image.open(path) as drawn:
        assert drawn.format == 'PNG'
    inputs['mask'] = [torch.zeros_like(mask) for mask in inputs['mask']]
    with pytest.raises(ValueError, match='no X\\^D of this batch'):
        draw_decoupled({'inputs': inputs}, Identity(), tmp_path / 'xd.png', branch=branch)


def test_pixel_masks_get_a_row_of_what_the_loss_compares(inputs, tmp_path):
    """Cells of the last map for point hosts, boxes for region hosts, neither for patch masks."""
    height = {}
    patches = draw_decoupled({'inputs': inputs}, Identity(), tmp_path / 'a.png', branch=branch())
    inputs['dc_mask'] = [
        mask.repeat_interleave(4, 1).repeat_interleave(4, 2) for mask in inputs['dc_mask']
    ]
    cells = draw_decoupled({'inputs': inputs}, Identity(), tmp_path / 'b.png', branch=branch())
    inputs['boxes'] = [torch.tensor([[[2.0, 2, 9, 12]]]).expand(BATCH, 1, 4)] * 2
    boxes = draw_decoupled({'inputs': inputs}, Identity(), tmp_path / 'c.png', branch=branch())
    for path in (patches, cells, boxes):
        with Image.open(path) as drawn:
            height[path.name] = drawn.height
    assert height['a.png'] < height['b.png'] == height['c.png']
    assert cells.read_bytes() != boxes.read_bytes()


def branch() -> DecouplingBranch:
    return DecouplingBranch(key_views=(1,))
