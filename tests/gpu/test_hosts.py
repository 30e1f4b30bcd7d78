"""A GPU computes what the CPU computes."""

import copy

import pytest
import torch

from mmdssl.engine.efficiency.compiled_blocks import compile_blocks
from mmdssl.engine.optimizers.optim_wrapper import AmpPerParamClipOptimWrapper
from tests.gpu.hosts import HOSTS, WAITING, deterministic_draws, on_gpu, total, waiting_is_an_error

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU'),
]


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    deterministic_draws(monkeypatch)
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def pair(name):
    """The same host on both devices, in training mode."""
    build, make = HOSTS[name]
    here = build().train()
    return here, copy.deepcopy(here).cuda(), make()


@pytest.mark.parametrize('name', HOSTS)
def test_losses_and_gradients_equal_those_of_the_cpu(name):
    here, there, batch = pair(name)
    wanted, found = here.loss(batch), there.loss(on_gpu(batch))
    assert wanted.keys() == found.keys()
    for key in wanted:
        torch.testing.assert_close(found[key].cpu(), wanted[key], rtol=2e-4, atol=2e-5, msg=key)
    total(wanted).backward()
    total(found).backward()
    for (key, one), (_, two) in zip(here.named_parameters(), there.named_parameters(), strict=True):
        assert (one.grad is None) == (two.grad is None), key
        if one.grad is not None:
            error = (two.grad.cpu() - one.grad).norm()
            # Cut at the place where a rounding may choose another cell or cluster.
            assert error <= 5e-3 * one.grad.norm() + 1e-5, (key, float(error))


@pytest.mark.parametrize('name', [name for name in HOSTS if name not in WAITING])
def test_a_step_waits_for_nothing(name):
    _, model, batch = pair(name)
    batch = on_gpu(batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def step():
        total(model.loss(batch)).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if hasattr(model, 'update_teacher'):
            model.update_teacher()

    step()  # what is made once may wait
    with waiting_is_an_error():
        step()


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
@pytest.mark.parametrize('name', HOSTS)
def test_half_precision_stays_near(name, dtype):
    here, model, batch = pair(name)
    wanted = total(here.loss(batch)).item()
    parameters = [p for p in model.parameters() if p.requires_grad]
    wrapper = AmpPerParamClipOptimWrapper(
        optimizer=torch.optim.SGD(parameters, lr=1e-3),
        dtype=dtype,
        clip_grad=dict(type='per_param', max_norm=3.0),
    )
    before = [p.detach().clone() for p in parameters]
    batch = on_gpu(batch)
    for attempt in range(20):  # the scaler lowers its scale until the gradients fit
        with wrapper.optim_context(model):
            loss = total(model.loss(batch))
        if attempt == 0:
            assert loss.item() == pytest.approx(wanted, rel=0.05, abs=0.02)
        wrapper.update_params(loss)
        assert all(torch.isfinite(p).all() for p in parameters)
        if any(not torch.equal(p, q) for p, q in zip(parameters, before, strict=True)):
            return
    pytest.fail('no step was taken')


@pytest.mark.parametrize('name', ['DenseCL-D', 'SoCo-D'])
def test_channels_last_changes_nothing(name):
    _, plain, batch = pair(name)
    other = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    batch = on_gpu(batch)
    laid = [view.contiguous(memory_format=torch.channels_last) for view in batch['views']]
    wanted, found = total(plain.loss(batch)), total(other.loss(dict(batch, views=laid)))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', ['iBOT-D', 'MaskAlign-D', 'Leopart-D'])
def test_compiled_blocks_compute_the_same(name):
    _, plain, batch = pair(name)
    compiled, batch = copy.deepcopy(plain), on_gpu(batch)
    assert compile_blocks(compiled) > 0
    wanted, found = total(plain.loss(batch)), total(compiled.loss(batch))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    wanted.backward()
    found.backward()
    for one, two in zip(plain.parameters(), compiled.parameters(), strict=True):
        if one.grad is not None:
            assert (one.grad - two.grad).norm() <= 5e-3 * one.grad.norm() + 1e-5


def test_one_process_of_nccl_equals_none(tmp_path):
    _, plain, batch = pair('DenseCL-D')
    batch = on_gpu(batch)
    wrapped = copy.deepcopy(plain)
    store = f'file://{tmp_path}/store'
    torch.distributed.init_process_group('nccl', init_method=store, rank=0, world_size=1)
    try:
        parallel = torch.nn.parallel.DistributedDataParallel(
            wrapped, device_ids=[0], broadcast_buffers=False
        )
        found = total(parallel(batch, mode='loss'))
        found.backward()
    finally:
        torch.distributed.destroy_process_group()
    wanted = total(plain(batch, mode='loss'))
    wanted.backward()
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    for one, two in zip(plain.parameters(), wrapped.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(two.grad, one.grad, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(wrapped.queue.keys, plain.queue.keys)
