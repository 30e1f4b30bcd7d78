"""Tables of rotary positions: values, draws, what turns."""

import math

import pytest
import torch

from mmdssl.models.backbones.rope import RotaryPositions, rotate
from tests.golden import Golden, assert_close

WIDE = torch.zeros(1, dtype=torch.float64)


@pytest.fixture(scope='module')
def golden(shared):
    return Golden.load(shared('golden3/dinov3_rope.npz'))


def rope(golden, **more):
    settings = dict(head_dims=golden.number('cfg_head_dim'), base=golden.number('cfg_base'))
    return RotaryPositions(**settings, periods='exact', **more)


@pytest.mark.golden
def test_tables_of_every_way_to_normalise(golden):
    for normalize in ('separate', 'max', 'min'):
        for height, width in golden['cfg_shapes'].tolist():
            cos, sin = rope(golden, normalize=normalize).table((height, width), WIDE)
            part = golden.sub(f'{normalize}/{height}x{width}/')
            assert_close(cos, part['cos'], 1e-8)
            assert_close(sin, part['sin'], 1e-8)


@pytest.mark.golden
def test_periods(golden):
    assert_close(rope(golden).exact_periods(), golden['periods'], 1e-12)
    assert_close(rope(golden).periods, golden['periods_fp32'], 1e-6)


@pytest.mark.golden
def test_shift_comes_before_jitter_and_rescale(golden):
    for index in range(4):
        part = golden.sub(f'aug{index}/')
        factor = part['jitter'] * part['rescale']
        grid = tuple(part['grid'].tolist())
        cos, sin = rope(golden).table(grid, WIDE, factor, part['shift'])
        assert_close(cos, part['cos'], 1e-8)
        assert_close(sin, part['sin'], 1e-8)


@pytest.mark.golden
def test_rotation(golden):
    grid = tuple(golden['rotate_grid'].tolist())
    tables = rope(golden).table(grid, WIDE)
    assert_close(rotate(golden['rotate_in'], *tables), golden['rotate_out'], 1e-8)


def test_tokens_in_front_do_not_turn_and_the_type_stays():
    tables = RotaryPositions(head_dims=8).table((2, 3), torch.zeros(1))
    x = torch.randn(2, 4, 11, 8).bfloat16()
    turned = rotate(x, *tables)
    assert turned.dtype == torch.bfloat16
    assert torch.equal(turned[..., :5, :], x[..., :5, :])
    assert not torch.equal(turned[..., 5:, :], x[..., 5:, :])
    norms = (y.float().norm(dim=-1) for y in (turned, x))
    torch.testing.assert_close(*norms, rtol=1e-2, atol=1e-2)


def test_draws_lie_in_their_bounds_and_fill_them():
    torch.manual_seed(0)
    net = RotaryPositions(head_dims=8, shift=0.25, jitter=1.5, rescale=2.0)
    drawn = [net.draws(torch.zeros(1)) for _ in range(400)]
    factors = torch.stack([factor for factor, _ in drawn])  # (400, 2)
    shifts = torch.stack([shift for _, shift in drawn])
    assert shifts.abs().max() <= 0.25
    assert shifts.abs().max() > 0.24
    assert factors.max() <= 3.0 * (1 + 1e-6)
    assert factors.min() >= 1 / 3.0 * (1 - 1e-6)
    # Both axes share the rescale (variance ln(2)^2 / 3) and have jitters of their own.
    ratio = (factors[:, 0] / factors[:, 1]).log()
    assert ratio.std() == pytest.approx(math.log(1.5) * (2 / 3) ** 0.5, rel=0.1)
    whole = (factors.log().sum(1) / 2).std()
    assert whole == pytest.approx((math.log(2) ** 2 / 3 + math.log(1.5) ** 2 / 6) ** 0.5, rel=0.1)


@pytest.mark.parametrize(('draw', 'different'), [('block', 4), ('pass', 1)])
def test_blocks_draw_each_or_share(draw, different):
    net = RotaryPositions(head_dims=8, rescale=2.0, draw=draw)
    tables = [cos for cos, _ in net.rotations((2, 3), 4, torch.zeros(1))]
    assert len({tuple(table.flatten().tolist()) for table in tables}) == different
    net.eval()
    calm = [cos for cos, _ in net.rotations((2, 3), 4, torch.zeros(1))]
    assert all(torch.equal(table, net.table((2, 3), torch.zeros(1))[0]) for table in calm)


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(head_dims=6), 'heads have 6 channels'),
        (dict(normalize='own'), "normalize='own' must be one of separate, max, min"),
        (dict(draw='image'), "draw='image' must be one of block, pass"),
        (dict(jitter=0.5), r'jitter=0\.5'),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        RotaryPositions(**{'head_dims': 8, **settings})
