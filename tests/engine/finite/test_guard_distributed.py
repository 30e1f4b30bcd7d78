"""Two processes agree: what is not finite on one of them is committed on neither."""

from pathlib import Path

import pytest
import torch
from mmengine.model import MMDistributedDataParallel

from mmdssl.engine.finite import guard as guard_module
from mmdssl.engine.launch import leave_process_group
from tests.engine.finite.hosts import (
    CLIP,
    FAULTS,
    HOSTS,
    PRECISIONS,
    Run,
    different,
    not_finite,
    start,
    state_of,
)
from tests.engine.finite.test_guard import can_have
from tests.ranks import found_by_two

CASES = [(h, f, p) for h in HOSTS for f in FAULTS for p in PRECISIONS if can_have(h, f)]


def wrap(model: torch.nn.Module) -> MMDistributedDataParallel:
    return MMDistributedDataParallel(model, find_unused_parameters=True, broadcast_buffers=False)


def shifted(run: Run, rank: int) -> Run:
    """Each process has images of its own."""
    batch = run.batch
    run.batch = lambda seed: batch(seed + 100 * rank)
    return run


def one_of_two(rank: int, rendezvous: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{rendezvous}', rank=rank, world_size=2
    )
    harmed: dict[str, list[str]] = {}
    for host, fault, precision in CASES:
        run = shifted(start(host, precision=precision, clip_grad=CLIP, wrap=wrap), rank)
        for number in (0, 1):
            run.step(number)
        before = state_of(run)
        run.step(2, fault if rank == 1 else None)
        found = different(state_of(run), before)
        if run.guard.values[0] != 1:
            found.append('the step was committed')
        run.step(3)
        found += not_finite(state_of(run))
        if run.guard.values[0] != 0:
            found.append('the next step was not committed')
        harmed[' '.join((host, fault, precision))] = found
    torch.save(harmed, f'{out}{rank}.pt')
    leave_process_group()


@pytest.mark.slow
def test_a_fault_of_one_process_is_committed_by_none(tmp_path: Path):
    for harmed in found_by_two(one_of_two, tmp_path):
        assert len(harmed) == len(CASES)
        assert {case: found for case, found in harmed.items() if found} == {}


@pytest.mark.parametrize('reads', [None, False])
def test_another_process_can_take_a_step_back(monkeypatch: pytest.MonkeyPatch, reads: bool | None):
    run = start('iBOT-D', reads=reads, optimizer=dict(type='AdamW', lr=1e-2, fused=True))
    run.step(0)
    before = state_of(run)

    def elsewhere(flags: torch.Tensor, op: str = 'sum') -> None:
        if op == 'max' and flags.shape == (4,):
            flags[:2] = 1  # a loss of the other process

    with monkeypatch.context() as patch:
        patch.setattr(guard_module, 'all_reduce', elsewhere)
        run.step(1)
    assert run.guard.values[:2].tolist() == [1, 1]
    assert run.guard.values[4] == 0  # its own loss is finite
    assert different(state_of(run), before) == []
