"""The way of a batch to the network on a GPU."""

import pytest
import torch
from torch.utils.data import DataLoader

from mmdssl.engine.efficiency.device_prefetch import DevicePrefetcher
from mmdssl.engine.hooks.runtime_info import DeferredRuntimeInfoHook
from mmdssl.models.data_preprocessors.multiview import MultiViewPreprocessor
from mmdssl.models.utils.host_copies import HostCopies
from tests.gpu.hosts import waiting_is_an_error

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU'),
]
COLOUR = dict(
    jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, prob=0.8),
    grayscale=0.2,
    blur=dict(prob=0.7, sigma=(0.1, 2.0)),
    solarize=dict(prob=0.3, threshold=0.5),
)


def views(size=64, side=64):
    torch.manual_seed(1)
    return [torch.randint(256, (size, 3, side, side), dtype=torch.uint8) for _ in range(2)]


@pytest.mark.parametrize('order', ['official', 'ibot'])
def test_colours_equal_those_of_the_cpu(order):
    found = []
    for device in ('cpu', 'cuda'):
        preprocessor = MultiViewPreprocessor(policies=[COLOUR, COLOUR], aug_order=order).to(device)
        torch.manual_seed(7)
        out = preprocessor(dict(inputs=dict(views=views())), training=True)['inputs']['views']
        found.append([view.cpu() for view in out])
    for one, two in zip(*found, strict=True):
        # A hue at a sixth of the circle or a grey level at the threshold may fall to either side.
        close = ((one - two).abs() < 1e-3).float().mean()
        assert close > 0.9999


def test_colours_wait_for_nothing():
    preprocessor = MultiViewPreprocessor(policies=[COLOUR, COLOUR]).to('cuda')
    batch = dict(inputs=dict(views=[view.pin_memory() for view in views()]))
    preprocessor(batch, training=True)
    with waiting_is_an_error():
        preprocessor(batch, training=True)


def _collate(rows):
    index = torch.tensor(rows)
    images = index[:, None, None, None].expand(-1, 3, 8, 8).to(torch.uint8).contiguous()
    return dict(inputs=dict(views=[images, images + 1], mask=[index[:, None, None] > 20] * 2))


def test_prefetched_batches_are_those_of_the_loader():
    loader = DataLoader(
        list(range(50)), batch_size=8, num_workers=2, pin_memory=True, collate_fn=_collate
    )
    preprocessor = MultiViewPreprocessor().to('cuda')
    prefetched = DevicePrefetcher(loader, preprocessor)
    assert len(prefetched) == len(loader) == 7
    seen = []
    for batch in prefetched:
        assert batch['inputs']['views'][0].is_cuda
        assert isinstance(batch['inputs']['host'], HostCopies)
        out = preprocessor(batch, training=True)['inputs']
        assert out['host'].get('mask')[0].device.type == 'cpu'
        assert torch.equal(out['host'].get('mask')[0], out['mask'][0].cpu())
        seen.append(batch['inputs']['views'][1][:, 0, 0, 0].cpu())
    assert torch.equal(torch.cat(seen), torch.arange(1, 51, dtype=torch.uint8))


class _Runner:
    """What the hook asks of a runner."""

    def __init__(self, hooks):
        self.hooks, self.train_dataloader, self.seen = hooks, range(100), []
        self.message_hub = self

    def update_scalar(self, name, value):
        self.seen.append((name, value))


def test_scalars_arrive_all_and_in_order():
    hook = DeferredRuntimeInfoHook()
    runner = _Runner([hook])
    for step in range(30):
        values = dict(loss=torch.tensor(float(step)).cuda(), other=torch.tensor(step / 2).cuda())
        hook.after_train_iter(runner, step, outputs=values)
    hook.after_train_epoch(runner)
    assert runner.seen == [
        pair for step in range(30) for pair in (('train/loss', step), ('train/other', step / 2))
    ]
