"""Windows on views and exact means over them: invariants that need no reference."""

from itertools import pairwise

import pytest
import torch

from mmdssl.models.utils.cell_places import signed_boxes
from mmdssl.models.utils.windows import grid_windows, same_windows, window_means

SIDE = (224, 224)


def boxes(*corners: float) -> torch.Tensor:
    return torch.tensor([corners], dtype=torch.float64)


def same(query: torch.Tensor, key: torch.Tensor, size: int = 32, stride: int = 24):
    mine = grid_windows(*SIDE, size=size, stride=stride)
    return mine, *same_windows(mine, query, key, query_size=SIDE, key_size=SIDE)


@pytest.mark.parametrize(
    ('side', 'size', 'stride', 'number'),
    [(224, 48, 32, 6), (224, 32, 24, 8), (128, 48, 32, 3), (128, 32, 24, 4), (32, 32, 24, 0)],
)
def test_windows_that_reach_the_far_border_are_left_out(side, size, stride, number):
    windows = grid_windows(side, side, size=size, stride=stride)
    assert len(windows) == number**2
    assert not len(windows) or windows.max() < side
    assert torch.equal(windows[:number, 1], torch.zeros(number, dtype=torch.float64))


def test_equal_crops_have_equal_windows_mirrored_or_not():
    crop = boxes(13, 7, 313, 207)
    for mirrored in (False, True):
        box = signed_boxes(crop, torch.tensor([[mirrored, False]]))
        mine, theirs, valid = same(box, box)
        assert valid.all()
        torch.testing.assert_close(theirs[0], mine)


def test_a_key_of_the_right_half_does_not_show_windows_of_the_left():
    mine, theirs, valid = same(boxes(0, 0, 200, 200), boxes(100, 0, 200, 200))
    assert not valid[0][mine[:, 0] < 112].any()
    assert torch.equal(theirs[0][mine[:, 0] < 112].unique(dim=0), boxes(0, 0, 1, 1))
    inside = (mine[:, 0] >= 112) & (mine[:, 3] < 224)
    assert valid[0][inside].all()
    torch.testing.assert_close(
        theirs[0][inside],
        (mine[inside] - torch.tensor([112.0, 0, 112, 0])) * torch.tensor([2, 1] * 2),
    )


def test_a_window_that_touches_the_far_border_of_the_key_is_not_shown():
    # windows end at 32, 56, ...: the key ends where the third column of windows does
    mine, _, valid = same(boxes(0, 0, 224, 224), boxes(-144, 0, 80, 224))
    assert not valid[0][mine[:, 2] == 80].any()
    assert valid[0][(mine[:, 2] == 56) & (mine[:, 3] < 224)].all()


# ---- means -------------------------------------------------------------------------------------


def test_a_linear_map_has_its_value_at_the_middle():
    """Cell i lies at coordinate i."""
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(9.0), indexing='ij')
    maps = (0.5 + 2 * columns - 3 * rows)[None, None].double()
    window = boxes(1.25, 2.0, 5.5, 3.75)[:, None]
    found = window_means(maps, window, scale=(1.0, 1.0))
    assert found.item() == pytest.approx(0.5 + 2 * 3.375 - 3 * 2.875, rel=1e-12)
    ones = window_means(torch.ones_like(maps), window, scale=(1.0, 1.0))
    assert ones.item() == pytest.approx(1, rel=1e-12)


def test_windows_that_tile_an_area_make_up_its_mean():
    maps = torch.randn(1, 4, 6, 6, dtype=torch.float64)
    xs, ys = [-0.5, 1.3, 2.0, 6.2], [0.4, 0.9, 5.5]
    parts = [boxes(x1, y1, x2, y2) for x1, x2 in pairwise(xs) for y1, y2 in pairwise(ys)]
    windows = torch.cat(parts)[None]
    areas = (windows[..., 2] - windows[..., 0]) * (windows[..., 3] - windows[..., 1])
    means = window_means(maps, windows, scale=(1.0, 1.0))
    whole = window_means(maps, boxes(-0.5, 0.4, 6.2, 5.5)[None], scale=(1.0, 1.0))
    torch.testing.assert_close((means * areas[..., None]).sum(dim=1) / areas.sum(), whole[:, 0])


def test_means_equal_a_fine_sum_of_the_interpolated_map():
    maps = torch.randn(1, 2, 5, 7, dtype=torch.float64)
    x1, y1, x2, y2 = 0.3, -0.6, 4.9, 3.2
    found = window_means(maps, boxes(x1, y1, x2, y2)[None], scale=(1.0, 1.0))
    steps = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    along_y, along_x = y1 + steps * (y2 - y1), x1 + steps * (x2 - x1)
    hats = [
        (1 - (place[:, None] - torch.arange(n)).abs()).clamp_min(0).mean(dim=0)
        for place, n in ((along_y, 5), (along_x, 7))
    ]
    want = torch.einsum('ncrk,r,k->nc', maps, *hats)
    torch.testing.assert_close(found[:, 0], want, rtol=1e-6, atol=1e-6)


def test_pixels_become_cells_by_the_scale_and_half_precision_is_widened():
    maps = torch.randn(2, 3, 14, 14)
    window = boxes(16, 32, 64, 96).expand(2, 1, 4)
    found = window_means(maps, window, scale=(1 / 16, 1 / 16))
    torch.testing.assert_close(
        found, window_means(maps, window / 16, scale=(1.0, 1.0)), rtol=1e-6, atol=1e-6
    )
    half = window_means(maps.half(), window, scale=(1 / 16, 1 / 16))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, found, rtol=1e-2, atol=1e-2)


def test_weights_leave_cells_out_and_equal_ones_change_nothing():
    maps = torch.randn(1, 3, 6, 6, dtype=torch.float64)
    window = boxes(0.5, 0.5, 5, 4)[None]
    plain = window_means(maps, window, scale=(1.0, 1.0))
    alike = torch.full((1, 6, 6), 0.25, dtype=torch.float64)
    torch.testing.assert_close(window_means(maps, window, scale=(1.0, 1.0), weights=alike), plain)
    keep = torch.zeros(1, 6, 6, dtype=torch.float64)
    keep[0, 2:4, 2:4] = 1
    found = window_means(maps, window, scale=(1.0, 1.0), weights=keep)
    other = torch.where(keep[:, None] > 0, maps, torch.randn_like(maps))
    torch.testing.assert_close(window_means(other, window, scale=(1.0, 1.0), weights=keep), found)
    torch.testing.assert_close(found[0, 0], maps[0, :, 2:4, 2:4].mean(dim=(1, 2)))
    none = window_means(maps, window, scale=(1.0, 1.0), weights=torch.zeros_like(keep))
    assert not none.any()


def test_an_empty_window_has_no_content():
    maps = torch.ones(1, 2, 4, 4, requires_grad=True)
    found = window_means(maps, boxes(2, 1, 2, 3)[None], scale=(1.0, 1.0))
    assert not found.any()
    found.sum().backward()
    assert maps.grad.isfinite().all()
