import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.multiprocessing as mp

from mmdssl.engine.launch import leave_process_group
from mmdssl.models.utils.sinkhorn import sinkhorn


def test_rows_sum_to_one_and_prototypes_fill_alike():
    torch.manual_seed(0)
    shares = sinkhorn(torch.randn(200, 10) * 0.2, iterations=50)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(200))
    torch.testing.assert_close(shares.sum(dim=0), torch.full((10,), 20.0), rtol=1e-3, atol=0)


def test_scores_that_would_overflow_do_no_harm():
    torch.manual_seed(0)
    scores = torch.randn(50, 6)
    torch.testing.assert_close(sinkhorn(scores + 100), sinkhorn(scores), rtol=1e-3, atol=1e-5)


def test_a_prototype_far_from_everything_gives_no_nan():
    scores = torch.zeros(20, 4)
    scores[:, 3] = -100.0
    shares = sinkhorn(scores)
    assert shares.isfinite().all()
    torch.testing.assert_close(shares[:, :3], torch.full((20, 3), 1 / 3))


def test_autocast_does_not_lower_precision():
    scores = torch.randn(30, 5, generator=torch.Generator().manual_seed(0)).mul(0.3).half()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = sinkhorn(scores)
    assert got.dtype == torch.float32
    assert torch.equal(got, sinkhorn(scores.float()))


# The processes hold unequal shares of these.
SCORES = torch.randn(60, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.3
PARTS = (slice(0, 42), slice(42, 60))


def rank(index: int, port_file: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{port_file}', rank=index, world_size=2
    )
    torch.save(sinkhorn(SCORES[PARTS[index]]), f'{out}{index}')
    leave_process_group()


class Meeting:
    """Sums and maxima over two threads that stand for processes."""

    def __init__(self) -> None:
        self.barrier, self.brought, self.who = threading.Barrier(2), {}, threading.local()

    def all_reduce(self, value: torch.Tensor, op: str = 'sum') -> None:
        self.brought[self.who.index] = value.clone()
        self.barrier.wait(timeout=20)
        both = torch.stack([self.brought[index] for index in range(2)])
        self.barrier.wait(timeout=20)
        value.copy_(both.amax(dim=0) if op == 'max' else both.sum(dim=0))

    def run(self, index: int) -> torch.Tensor:
        self.who.index = index
        return sinkhorn(SCORES[PARTS[index]])


def test_prototypes_fill_alike_over_all_processes(monkeypatch):
    """As below, without processes: it runs in the quick suite."""
    wanted, meeting = sinkhorn(SCORES), Meeting()
    monkeypatch.setattr('mmdssl.models.utils.sinkhorn.all_reduce', meeting.all_reduce)
    with ThreadPoolExecutor(2) as threads:
        got = torch.cat(list(threads.map(meeting.run, range(2))))
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.slow
def test_two_processes_give_what_one_with_all_vectors_gives(tmp_path):
    mp.spawn(rank, (str(tmp_path / 'port'), str(tmp_path / 'out')), nprocs=2)
    got = torch.cat([torch.load(tmp_path / f'out{index}') for index in range(2)])
    torch.testing.assert_close(got, sinkhorn(SCORES), rtol=1e-12, atol=1e-14)
