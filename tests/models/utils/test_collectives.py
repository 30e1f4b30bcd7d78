"""What reaches a collective is contiguous: by what is called, and by what is written."""

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from mmdssl.engine.launch import leave_process_group
from mmdssl.models.utils import collectives
from mmdssl.models.utils.sinkhorn import sinkhorn
from tests.models import tiny, tiny_leopart
from tests.models.algorithms import narrow_d3ssl, narrow_soco
from tests.models.tiny_resnet import tiny_densecl, two_views
from tests.ranks import found_by_two

ROOT = Path(__file__).parents[3]
#: Of ``torch.distributed`` and ``mmengine.dist``: those that take a tensor of the caller.
TENSOR_COLLECTIVES = (
    'all_gather',
    'all_gather_into_tensor',
    'all_reduce',
    'all_to_all',
    'all_to_all_single',
    'broadcast',
    'gather',
    'isend',
    'recv',
    'reduce',
    'reduce_scatter',
    'reduce_scatter_tensor',
    'scatter',
    'send',
)
# The one place that makes them contiguous, and the one that sends bytes.
ALLOWED = (
    'mmdssl/models/utils/collectives.py',
    'mmdssl/evaluation/gathering.py',
    # A few flags each, made by stack and cat: contiguous.
    'mmdssl/engine/finite/guard.py',
    'mmdssl/engine/finite/stopping.py',
)
HOSTS: dict[str, tuple[Callable, Callable]] = {
    'densecl': (partial(tiny_densecl, queue_length=24), partial(two_views, 4)),
    'ibot': (tiny.tiny_ibot, partial(tiny.tiny_batch, 4)),
    'leopart': (tiny_leopart.tiny_leopart, partial(tiny_leopart.leopart_batch, 4)),
    'd3ssl': (narrow_d3ssl.narrow_d3ssl, partial(narrow_d3ssl.d3ssl_batch, 4)),
    'soco': (narrow_soco.narrow_soco, partial(narrow_soco.soco_batch, 4)),
}


@contextmanager
def watched() -> Iterator[list[tuple[str, bool]]]:
    """Records (collective, whether all its tensors are contiguous) of every call inside."""
    seen: list[tuple[str, bool]] = []
    real = {name: getattr(torch.distributed, name) for name in TENSOR_COLLECTIVES}

    def record(name: str, *args, **kwargs):
        tensors: list[Tensor] = []
        for value in (*args, *kwargs.values()):
            tensors += [
                x for x in (value if isinstance(value, list) else [value]) if isinstance(x, Tensor)
            ]
        seen.append((name, all(x.is_contiguous() for x in tensors)))
        return real[name](*args, **kwargs)

    for name in real:
        setattr(torch.distributed, name, partial(record, name))
    try:
        yield seen
    finally:
        for name, function in real.items():
            setattr(torch.distributed, name, function)


def channels_last(batch: dict) -> dict:
    views = [view.contiguous(memory_format=torch.channels_last) for view in batch['views']]
    return {**batch, 'views': views}


def rank(index: int, port_file: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{port_file}', rank=index, world_size=2
    )
    result: dict = {}
    for name, (build, draw) in HOSTS.items():
        model = DistributedDataParallel(
            build().to(memory_format=torch.channels_last), find_unused_parameters=True
        )
        batch = channels_last(draw(seed=index + 1))
        with watched() as seen:
            losses = model(batch, mode='loss')
            sum(value for key, value in losses.items() if 'loss' in key).backward()
            model.module.update_teacher()
        result[name] = seen

    images = torch.arange(48.0).view(2, 3, 2, 4) + 100 * index
    with watched() as seen:
        last = images.contiguous(memory_format=torch.channels_last)
        result['gathered'] = collectives.all_gather(last)
        dealt, order = collectives.shuffle_batch(last)
        result['kept_format'] = dealt.is_contiguous(memory_format=torch.channels_last)
        result['returned'] = bool((collectives.unshuffle_batch(dealt, order) == images).all())
        gaps = images.clone()[:, :, :, ::2]
        collectives.all_reduce(gaps, op='max')
        result['reduced'] = gaps
        result['clusters'] = sinkhorn(images.view(6, 8).T)
    result['own'] = seen
    torch.save(result, f'{out}{index}.pt')
    leave_process_group()


@pytest.fixture(scope='module')
def results(tmp_path_factory) -> list[dict]:
    return found_by_two(rank, tmp_path_factory.mktemp('ranks'))


@pytest.mark.parametrize('name', [*HOSTS, 'own'])
def test_channels_last_images_reach_no_collective(results, name):
    for result in results:
        scattered = {call for call, contiguous in result[name] if not contiguous}
        assert not scattered
    assert name == 'soco' or results[0][name]  # SoCo's own are those of SyncBatchNorm


def test_the_values_are_those_of_all_processes_whatever_the_layout(results):
    images = torch.arange(48.0).view(2, 3, 2, 4)
    for result in results:
        assert torch.equal(result['gathered'], torch.cat([images, images + 100]))
        assert torch.equal(result['reduced'], images[..., ::2] + 100)
        assert result['returned']
        assert result['kept_format']


def direct_calls(path: Path) -> set[str]:
    """Tensor collectives that a file takes from a library itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom) and node.module:
            library = node.module.startswith(('torch.distributed', 'mmengine.dist'))
            shuffle = node.module.endswith('batch_shuffle')
            found |= {
                a.name for a in node.names if shuffle or (library and a.name in TENSOR_COLLECTIVES)
            }
        elif isinstance(node, ast.Attribute) and node.attr in TENSOR_COLLECTIVES:
            owner = ast.unparse(node.value)
            if owner == 'dist' or owner.endswith(('.dist', 'torch_dist', 'distributed')):
                found.add(f'{owner}.{node.attr}')
    return found


def test_no_other_file_calls_a_collective_on_a_tensor():
    folders = ('mmdssl', 'tools', 'projects')
    files = [path for folder in folders for path in (ROOT / folder).rglob('*.py')]
    found = {str(path.relative_to(ROOT)): direct_calls(path) for path in files}
    assert {name for name, calls in found.items() if calls} <= set(ALLOWED)
    assert found[ALLOWED[0]]  # the search finds what is there
