"""x3: which pixel comes from where, bit for bit."""

import numpy as np
import pytest
import torch

from mmdssl.datasets.transforms.shifted_foreground import ShiftedForeground
from mmdssl.models.utils.composition import other_images, paste_shifted
from tests.datasets.transforms.random_boxes import random_boxes

HEIGHT, WIDTH = 48, 64


def drawn(count: int, **kwargs):
    """Boxes, paste masks and shifts of ``count`` views as the workers draw them."""
    rng = np.random.default_rng(0)
    np.random.seed(0)
    boxes, masks, shifts = [], [], []
    for _ in range(count):
        view = dict(
            img=np.zeros((HEIGHT, WIDTH, 3), np.uint8),
            boxes=random_boxes(rng, 3, height=HEIGHT, width=WIDTH) * np.float32(0.6),
        )
        view = ShiftedForeground(**kwargs)(view)
        boxes.append(view['boxes'])
        masks.append(torch.from_numpy(view['paste']))
        shifts.append(torch.from_numpy(view['shift']))
    return np.stack(boxes), torch.stack(masks), torch.stack(shifts)


@pytest.mark.parametrize('memory', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('cutout', [None, dict()])
def test_pixels_of_a_moved_box_equal_those_of_the_box_outside_the_cut(memory, cutout):
    boxes, masks, shifts = drawn(32, cutout=cutout)
    images = torch.randn(32, 3, HEIGHT, WIDTH).contiguous(memory_format=memory)
    background = torch.randn(32, 3, HEIGHT, WIDTH)
    composed = paste_shifted(images, background, mask=masks, shift=shifts)
    shown = 0
    for i in range(32):  # pixel by pixel of every box, without any array arithmetic
        dx, dy = shifts[i].tolist()
        for x1, y1, x2, y2 in boxes[i]:
            for y in range(int(y1), int(np.ceil(y2))):
                for x in range(int(x1), int(np.ceil(x2))):
                    source = images if masks[i, y + dy, x + dx] else background
                    place = (y, x) if masks[i, y + dy, x + dx] else (y + dy, x + dx)
                    wanted = source[i, :, place[0], place[1]]
                    assert torch.equal(composed[i, :, y + dy, x + dx], wanted)
                    shown += bool(masks[i, y + dy, x + dx])
                    assert cutout is not None or masks[i, y + dy, x + dx]
    assert shown > 1000


def test_all_else_is_the_background():
    _, masks, shifts = drawn(16)
    images, background = torch.randn(2, 16, 3, HEIGHT, WIDTH).unbind()
    composed = paste_shifted(images, background, mask=masks, shift=shifts)
    outside = ~masks[:, None].expand_as(composed)
    assert torch.equal(composed[outside], background[outside])
    assert shifts.unique(dim=0).shape[0] > 8  # samples move each in their own way


@pytest.mark.parametrize('background', ['roll', 'random'])
def test_no_image_is_its_own_background(background):
    generator = torch.Generator().manual_seed(0)
    for size in (2, 3, 16):
        seen = set()
        for _ in range(300):
            index = other_images(size, background=background, generator=generator)
            assert (index != torch.arange(size)).all()
            assert ((index >= 0) & (index < size)).all()
            if background == 'roll':
                assert len(index.unique()) == size  # each serves once
            seen.add(int(index[0]))
        assert seen == set(range(1, size))  # any other image may be behind image 0
