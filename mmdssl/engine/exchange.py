"""Metrics of other packages that need a folder which all nodes share: said before the run.

mmengine's metrics exchange results through files in a folder of the working directory, unless they
are told otherwise. On nodes without a common one that fails when the first evaluation ends, which
may be after days. The metrics of this package need none (:mod:`mmdssl.evaluation.gathering`).
"""

import os
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.config import Config

from mmdssl.core.wording import listed
from mmdssl.evaluation.gathering import GatheredMetric
from mmdssl.registry import METRICS

__all__ = ['check_exchange', 'node_count']


def node_count(environment: Mapping[str, str] = os.environ) -> int:
    """Machines of this run, as torchrun or Slurm tell them; 1 where nobody does."""
    processes = int(environment.get('WORLD_SIZE', 1))
    here = int(environment.get('LOCAL_WORLD_SIZE', processes))
    return max(-(-processes // max(here, 1)), int(environment.get('SLURM_NNODES', 1)))


def check_exchange(config: Config, *, nodes: int | None = None) -> None:
    """Warn of metrics that exchange results through a folder, where there are several nodes.

    Args:
        config: Of a run, not built yet.
        nodes: Machines; None: as :func:`node_count` finds.
    """
    if (node_count() if nodes is None else nodes) < 2:
        return
    for key in ('val_evaluator', 'test_evaluator'):
        names = sorted({str(metric['type']) for metric in _metrics(config, key) if _shares(metric)})
        if names:
            warnings.warn(
                f'{key}: {listed(names)} exchanges results through files in .dist_test of the '
                'working directory: start all nodes in a folder that they share, or set '
                "collect_device='gpu' there, which needs none",
                stacklevel=2,
            )


def _metrics(config: Config, key: str) -> Iterable[Mapping[str, Any]]:
    evaluator = config.get(key) or ()
    if isinstance(evaluator, Mapping):
        evaluator = evaluator.get('metrics', [evaluator])
    return [evaluator] if isinstance(evaluator, Mapping) else evaluator


def _shares(metric: Mapping[str, Any]) -> bool:
    """Whether a metric writes into a folder that nobody chose."""
    kind = metric['type']
    cls = METRICS.get(kind) if isinstance(kind, str) else kind
    if isinstance(cls, type) and issubclass(cls, GatheredMetric):
        return False
    return metric.get('collect_device', 'cpu') == 'cpu' and metric.get('collect_dir') is None
