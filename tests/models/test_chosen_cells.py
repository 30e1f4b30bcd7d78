import torch

from mmdssl.models.chosen_cells import choose_cells
from mmdssl.models.foreground import Foreground
from mmdssl.models.utils.host_copies import HOST, HostCopies, move


def test_rows_and_weights_are_those_of_a_plain_loop():
    torch.manual_seed(0)
    mask, cells = torch.rand(5, 7) < 0.4, torch.randn(5, 7, 3)
    mask[2] = False
    chosen = choose_cells(mask)
    rows, weights = [], []
    for sample in range(5):
        count = int(mask[sample].sum())
        for cell in range(7):
            if mask[sample, cell]:
                rows.append(cells[sample, cell])
                weights.append(1 / (count * 5))
    assert torch.equal(chosen.rows(cells), torch.stack(rows))
    torch.testing.assert_close(chosen.weights, torch.tensor(weights, dtype=torch.float64))


def test_gradients_reach_the_chosen_cells_alone():
    mask = torch.tensor([[True, False, True], [False, False, True]])
    cells = torch.randn(2, 3, 4, requires_grad=True)
    choose_cells(mask).rows(cells).sum().backward()
    assert torch.equal(cells.grad, mask[..., None].expand(2, 3, 4).float())


def test_the_foreground_counts_what_the_host_holds():
    """A device that lags must not be asked: what lies on the host decides, and it alone."""
    keep = torch.zeros(1, 4, 4, dtype=torch.bool)
    keep[0, :2] = True
    there = torch.zeros_like(keep)  # stands for a copy that has not arrived yet
    chosen = Foreground(there, 0.5, on_host=keep).chosen(2, 2)
    assert chosen.cell.tolist() == [0, 1]
    assert Foreground(keep, 0.5).chosen(2, 2).cell.tolist() == [0, 1]


def test_host_copies_hold_masks_and_ids_only():
    mask = [torch.ones(2, 3, 3, dtype=torch.bool)]
    ids = [torch.arange(4), torch.arange(4)]
    inputs = dict(views=[torch.rand(2, 3)], mask=mask, box_ids=ids, names=['a'], empty=[])
    host = HostCopies(inputs)
    assert host.get('mask')[0] is mask[0]
    assert host.get('box_ids')[1] is ids[1]
    assert host.get('views') is host.get('names') is host.get('empty') is None
    moved = dict(inputs, mask=[torch.zeros(2, 3, 3, dtype=torch.bool)], **{HOST: host})
    assert HostCopies.of(moved, 'mask')[0] is mask[0]  # not what was moved
    assert HostCopies.of(inputs, 'mask')[0] is mask[0]  # nothing kept: the entry itself


def test_moving_to_where_it_is_costs_nothing():
    tensor = torch.rand(3)
    assert move(tensor, 'cpu') is tensor
