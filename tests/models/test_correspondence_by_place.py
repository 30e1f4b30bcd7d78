"""Positives from places alone: the golden numbers, a search by hand, and what must not change."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmdssl.models.algorithms.densecl import DenseCL
from mmdssl.models.correspondence import match_places
from mmdssl.models.losses.info_nce import info_nce
from mmdssl.models.utils.cell_places import cell_centres, cells_at, shares_in, signed_boxes
from tests.golden import Golden, assert_close
from tests.models.tiny_resnet import place_batch, tiny_densecl, two_views

EXACT = 1e-9


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden2/pointlevel.npz'))


def boxes(golden: Golden) -> list[Tensor]:
    none = torch.zeros_like(golden['flip_query'])  # mirrored upside down
    return [
        signed_boxes(golden[f'box_{view}'], torch.stack((golden[f'flip_{view}'], none), dim=1))
        for view in ('query', 'key')
    ]


@pytest.mark.golden
def test_places_equal_the_reference(golden):
    query, key = boxes(golden)
    height, width = golden['cfg_hw'].tolist()
    centres = cell_centres(query, height, width)
    shares, valid = shares_in(centres, key)
    assert_close(centres.unflatten(1, (height, width)), golden['query_centre_xy'], EXACT)
    assert_close(shares.unflatten(1, (height, width)), golden['share_in_key_xy'], EXACT)
    assert torch.equal(valid.unflatten(1, (height, width)), golden['valid'])
    index = cells_at(shares, height, width)
    assert torch.equal(index[valid], golden['key_index'][valid])


@pytest.mark.golden
@pytest.mark.parametrize('match', ['nearest', 'bilinear'])
def test_positives_losses_and_gradients_equal_the_reference(golden, match):
    grid = tuple(golden['cfg_hw'].tolist())
    raw = golden['query_raw'].requires_grad_()
    places = match_places(
        *boxes(golden), golden['key_raw'].flatten(2), query_grid=grid, key_grid=grid, match=match
    )
    valid = golden['valid'].flatten(1)
    want = golden[f'out_{match}_positive']
    assert_close(places.positives[valid], want[valid], EXACT, 'positives')
    rows = F.normalize(raw.flatten(2), dim=1).transpose(1, 2)
    losses = info_nce(
        rows.flatten(0, 1),
        places.positives.flatten(0, 1),
        golden['queue'].T,
        golden.number('cfg_temperature'),
    ).view_as(places.weights)
    want = golden[f'out_{match}_loss_per_cell']
    assert_close(losses[valid], want[valid], EXACT, 'cells')
    loss = (losses * places.weights).sum() / places.weights.sum()
    assert_close(loss, golden[f'out_{match}_loss'], EXACT, 'loss')
    loss.backward()
    assert_close(raw.grad, golden[f'out_{match}_grad_query_raw'], 1e-6, 'gradient')


# ---- the host ----------------------------------------------------------------------------------


class Answers(torch.nn.Module):
    """A net that answers with maps given beforehand, image by image."""

    def __init__(self, maps: Tensor) -> None:
        super().__init__()
        self.register_buffer('maps', maps)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.maps[images[:, 0, 0, 0].long()],)


class NoNeck(torch.nn.Module):
    """The maps themselves are the vectors of cells."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mlp = torch.nn.Sequential(torch.nn.Linear(dim, dim))

    def forward(self, maps: tuple[Tensor]) -> list[Tensor]:
        grid = maps[0].flatten(2)
        pooled = grid.mean(dim=2)
        return [self.mlp(pooled), grid, pooled]


@pytest.mark.golden
@pytest.mark.parametrize('match', ['nearest', 'bilinear'])
def test_the_host_has_the_loss_of_the_reference(golden, match):
    maps = torch.cat((golden['query_raw'], golden['key_raw']))
    count, dim = len(golden['query_raw']), maps.shape[1]
    model = DenseCL(
        backbone=Answers(maps),
        neck=NoNeck(dim),
        correspondence='place',
        match=match,
        temperature=golden.number('cfg_temperature'),
        queue_length=len(golden['queue']),
    ).double()
    model.dense_queue.keys.copy_(golden['queue'].T)
    rows = torch.arange(2 * count, dtype=torch.float64)[:, None, None, None].expand(-1, 3, 2, 2)
    none = torch.zeros(count, dtype=torch.bool)
    losses = model.loss(
        dict(
            views=list(rows.chunk(2)),
            crop_box=[golden['box_query'], golden['box_key']],
            flip=[torch.stack((golden[f'flip_{v}'], none), dim=1) for v in ('query', 'key')],
        )
    )
    assert_close(losses['loss_dense'] / model.loss_lambda, golden[f'out_{match}_loss'], EXACT)


@pytest.mark.parametrize('match', ['nearest', 'pixpro'])
def test_the_loss_is_that_of_pairs_found_one_by_one(match):
    """Recomputed by loops over cells, mirrored by hand, without the package's geometry."""
    batch = place_batch()
    batch['views'] = [view.double() for view in batch['views']]
    model = tiny_densecl(correspondence='place', match=match).double()
    query = model._encode(model.backbone, model.neck, batch['views'][0])
    key = model._encode(model.teacher.backbone, model.teacher.neck, batch['views'][1])
    negatives = model.dense_queue.keys.clone()
    height, width = 90, 60

    def centre(view: int, n: int, row: int, column: int) -> tuple[float, float, float, float]:
        x1, y1, x2, y2 = batch['crop_box'][view][n].tolist()
        mirrored, upside = batch['flip'][view][n].tolist()
        if match == 'pixpro':
            x1, x2 = x1 / (width - 1), (x2 - 1) / (width - 1)
            y1, y2 = y1 / (height - 1), (y2 - 1) / (height - 1)
        column, row = 3 - column if mirrored else column, 3 - row if upside else row
        step_x, step_y = (x2 - x1) / 4, (y2 - y1) / 4
        return x1 + (column + 0.5) * step_x, y1 + (row + 0.5) * step_y, step_x, step_y

    cells = [(row, column) for row in range(4) for column in range(4)]
    losses = []
    for n in range(8):
        for i, one in enumerate(cells):
            x, y, step_x, step_y = centre(0, n, *one)
            pairs = []
            for j, other in enumerate(cells):
                key_x, key_y, key_step_x, key_step_y = centre(1, n, *other)
                if match == 'pixpro':
                    diagonal = max(
                        (step_x**2 + step_y**2) ** 0.5, (key_step_x**2 + key_step_y**2) ** 0.5
                    )
                    near = ((x - key_x) ** 2 + (y - key_y) ** 2) ** 0.5 < 0.7 * diagonal
                else:
                    near = abs(x - key_x) <= key_step_x / 2 and abs(y - key_y) <= key_step_y / 2
                if near:
                    own = query.grid[n, :, i] @ key.grid[n, :, j] / 0.2
                    others = query.grid[n, :, i] @ negatives / 0.2
                    pairs.append(torch.cat((own[None], others)).logsumexp(0) - own)
            if pairs:
                losses.append(torch.stack(pairs).mean())
    assert 0 < len(losses) < 8 * 16
    found = model.loss(batch)['loss_dense'] * 2
    torch.testing.assert_close(found, torch.stack(losses).mean())


def test_equal_crops_find_their_own_cell_and_mirrored_ones_the_mirrored_column():
    box = torch.tensor([[3.0, 5.0, 40.0, 77.0]], dtype=torch.float64)
    no, yes = torch.tensor([[False, False]]), torch.tensor([[True, False]])
    cells = torch.arange(12).view(1, 3, 4)
    for one, other, want in ((no, no, cells), (yes, yes, cells), (no, yes, cells.flip(2))):
        query, key = signed_boxes(box, one), signed_boxes(box, other)
        shares, valid = shares_in(cell_centres(query, 3, 4), key)
        assert valid.all()
        assert torch.equal(cells_at(shares, 3, 4), want.flatten(1))


@pytest.mark.parametrize('match', ['nearest', 'bilinear', 'pixpro'])
def test_crops_without_overlap_have_no_loss_and_make_no_nan(match):
    batch = place_batch()
    batch['crop_box'] = [
        torch.tensor([0.0, 0, 9, 9]).double().expand(8, 4),
        torch.tensor([40.0, 40, 60, 60]).double().expand(8, 4),
    ]
    model = tiny_densecl(correspondence='place', match=match)
    losses = model.loss(batch)
    assert losses['loss_dense'] == 0
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


def test_the_place_changes_the_dense_loss_alone():
    plain, placed = tiny_densecl().loss(place_batch()), tiny_densecl(correspondence='place')
    found = placed.loss(place_batch())
    assert torch.equal(found['loss_single'], plain['loss_single'])
    assert not torch.equal(found['loss_dense'], plain['loss_dense'])


def test_the_branch_is_that_of_densecl_and_leaves_the_rest_bit_equal():
    branch = dict(type='DecouplingBranch')
    plain = tiny_densecl(correspondence='place').loss(place_batch())
    placed = tiny_densecl(correspondence='place', decoupling=branch).loss(place_batch())
    similar = tiny_densecl(decoupling=branch).loss(place_batch())
    assert torch.equal(placed['loss_decoupling'], similar['loss_decoupling'])
    for name, loss in plain.items():
        assert torch.equal(placed[name], loss * 0.7)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(correspondence='place', match='near'), "match is 'near'"),
        (dict(match='bilinear'), "match is 'bilinear'.*correspondence='place'"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        tiny_densecl(**change)


def test_a_batch_without_places_is_refused():
    with pytest.raises(ValueError, match='lacks crop_box, flip of two views'):
        tiny_densecl(correspondence='place').loss(two_views())
