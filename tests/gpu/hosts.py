"""A small version of every method, with and without the branch, and its batches as on a GPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mmdssl.models.utils.host_copies import HOST, HostCopies
from tests.models import (
    tiny,
    tiny_leopart,
    tiny_maskalign,
    tiny_neco,
    tiny_plrc,
    tiny_resnet,
    tiny_selfemd,
    tiny_slotcon,
)
from tests.models.algorithms import narrow_d3ssl, narrow_soco

BRANCH = dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.5)

#: Name -> builder of the model, builder of a batch on the CPU.
HOSTS: dict[str, tuple[Callable[[], nn.Module], Callable[[], dict]]] = {
    'iBOT': (tiny.tiny_ibot, tiny.tiny_batch),
    'iBOT-D': (lambda: tiny.tiny_ibot(decoupling=BRANCH), tiny.tiny_batch),
    'DenseCL': (tiny_resnet.tiny_densecl, tiny_resnet.two_views),
    'DenseCL-D': (lambda: tiny_resnet.tiny_densecl(decoupling=BRANCH), tiny_resnet.two_views),
    'point-level-D': (
        lambda: tiny_resnet.tiny_densecl(correspondence='place', decoupling=BRANCH),
        tiny_resnet.place_batch,
    ),
    'PixPro-D': (
        lambda: tiny_resnet.tiny_pixpro(decoupling=BRANCH),
        tiny_resnet.place_batch,
    ),
    'BYOL-D': (lambda: tiny_resnet.tiny_byol(decoupling=BRANCH), tiny_resnet.two_views),
    'ReSim-D': (
        lambda: tiny_resnet.tiny_resim(decoupling=BRANCH),
        tiny_resnet.window_batch,
    ),
    'SoCo': (narrow_soco.narrow_soco, narrow_soco.soco_batch),
    'SoCo-D': (lambda: narrow_soco.narrow_soco(decoupling=BRANCH), narrow_soco.soco_batch),
    'MaskAlign-D': (
        lambda: tiny_maskalign.tiny_maskalign(decoupling=BRANCH, masking='random'),
        tiny_maskalign.tiny_batch,
    ),
    'Leopart-D': (
        lambda: tiny_leopart.tiny_leopart(decoupling=BRANCH),
        tiny_leopart.leopart_batch,
    ),
    'SlotCon-D': (lambda: tiny_slotcon.tiny_slotcon(decoupling=BRANCH), tiny_slotcon.two_crops),
    'NeCo-D': (lambda: tiny_neco.tiny_neco(decoupling=BRANCH), tiny_leopart.leopart_batch),
    'PLRC-D': (lambda: tiny_plrc.tiny_plrc(decoupling=BRANCH), tiny_plrc.three_crops),
    'Self-EMD-D': (
        lambda: tiny_selfemd.tiny_selfemd(decoupling=BRANCH),
        tiny_resnet.two_views,
    ),
    'D3SSL': (narrow_d3ssl.narrow_d3ssl, narrow_d3ssl.d3ssl_batch),
}
#: What Leopart's foreground decides on the device cannot be known before it is computed, nor how
#: many pairs PLRC has, or how many slots SlotCon counts.
WAITING = ('Leopart-D', 'PLRC-D', 'SlotCon-D')


def on_gpu(batch: dict) -> dict:
    """A batch as the preprocessor gives it on a GPU."""

    def move(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.cuda()
        return [move(one) for one in value] if isinstance(value, (list, tuple)) else value

    return {**{key: move(value) for key, value in batch.items()}, HOST: HostCopies(batch)}


def total(losses: dict[str, Tensor]) -> Tensor:
    return sum(value for name, value in losses.items() if 'loss' in name)


@contextmanager
def waiting_is_an_error() -> Iterator[None]:
    """Whatever makes the host wait for the device raises; what was launched before is over."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode('default')


def deterministic_draws(patch) -> None:
    """MaskAlign draws on the device; here it keeps patches in the order of their number."""
    patch.setattr(
        'mmdssl.models.algorithms.maskalign.attentive_order',
        lambda importance: torch.arange(importance.shape[1], device=importance.device).expand(
            len(importance), -1
        ),
    )
