"""Coupling as a curve beside the loss: few pairs, few ratios, one layer, during pre-training.

"Mind Your Augmentation" (ICLR 2024) and D3SSL measure the coupling of finished networks. Here the
same diagnostics (:mod:`mmdssl.evaluation.measure`), cut down to a fixed small set, show when it
comes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.runner import Runner
from torch import nn

from mmdssl.engine.hooks.backbone_measure_hook import BackboneMeasureHook
from mmdssl.evaluation.layers import resolve_layer
from mmdssl.evaluation.measure import Diagnostic, build_diagnostics, measure_diagnostics
from mmdssl.registry import HOOKS

__all__ = ['CouplingHook']

#: Ends of the names that the log shows; the file has all.
_HEADLINES = ('mean', 'median', 'clamped', 'full_angle', 'full_angle_pooled', 'raw', 'centred')


@HOOKS.register_module()
class CouplingHook(BackboneMeasureHook):
    """Measure coupling ratios of ``model.get_backbone(source)`` during training.

    The samples are chosen once, before training, and stay the same. Where the numbers go, see
    :class:`BackboneMeasureHook`.

    Args:
        diagnostics: Configs of the diagnostics by name, see :mod:`mmdssl.evaluation.measure`;
            ``None`` for ``coupling_diagnostics`` of the run's config.
        num: Samples of each diagnostic, in place of what the configs say; ``None``: as they say.
        ratios: Shares of A that are missing, of the diagnostics made by
            :class:`ObjectPairs`; ``None``: as the configs say.
        layers: Layers that are measured, see :mod:`mmdssl.evaluation.layers`; ``None``: as the
            configs say.
        file: Name of the file of results in the working directory.
        **timing: ``interval``, ``by_epoch``, ``source``, ``initial``, see
            :class:`BackboneMeasureHook`.

    Raises:
        ValueError: If the interval is not positive; at the start of the run, if the loop knows no
            epochs, the model offers no backbone or lacks a layer, or the data of a diagnostic
            cannot be used.
    """

    title = 'Coupling'

    def __init__(
        self,
        *,
        diagnostics: Mapping[str, Mapping[str, Any]] | None = None,
        num: int | None = 32,
        ratios: Sequence[float] | None = (0.0, 0.7),
        layers: Sequence[str] | None = ('last',),
        file: str = 'coupling.jsonl',
        **timing: Any,
    ) -> None:
        super().__init__(file=file, **timing)
        self.configs = diagnostics
        self.num = num
        self.ratios = ratios
        self.layers = layers
        self.diagnostics: dict[str, Diagnostic] = {}

    def build(self, runner: Runner, backbone: nn.Module) -> None:
        """Choose the samples and see whether the backbone has the layers."""
        configs = self.from_config(self.configs, runner, 'coupling_diagnostics', 'coco_coupling.py')
        self.diagnostics = build_diagnostics(
            {name: self._cheap(config) for name, config in configs.items()},
            backbone=backbone,
            layers=self.layers,
        )
        for diagnostic in self.diagnostics.values():
            for layer in diagnostic.layers:
                resolve_layer(backbone, layer)

    def measure(self, backbone: nn.Module, preprocessor: nn.Module) -> dict[str, float]:
        """All diagnostics' numbers."""
        return measure_diagnostics(backbone, preprocessor, self.diagnostics)

    def shown(self, name: str, value: float) -> str:
        """Averages over all ratios; the rest stands in the file."""
        path, _, statistic = name.rpartition('/')
        return f'{name}: {value:.3f}' if statistic in _HEADLINES and '@' not in path else ''

    def _cheap(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The diagnostic with this hook's numbers of samples and ratios."""
        loader = dict(config['dataloader'])
        dataset = dict(loader['dataset'])
        if self.num is not None:
            dataset['num'] = self.num
        if self.ratios is not None and dataset.get('type', '').endswith('ObjectPairs'):
            dataset['ratios'] = tuple(self.ratios)
        return {**config, 'dataloader': {**loader, 'dataset': dataset}}
