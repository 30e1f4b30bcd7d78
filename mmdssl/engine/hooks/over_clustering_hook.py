"""Measures of images with label maps as curves beside the loss: do patches come to name classes?

Leopart (CVPR 2022) is judged by over-clustering, K=500 on whole validation sets; here a few images
and a small K, enough to see the direction. In-context and patch k-NN segmentation likewise.
"""

from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmdssl.engine.hooks.backbone_measure_hook import BackboneMeasureHook
from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor
from mmdssl.evaluation.passes import evaluate_loader
from mmdssl.registry import HOOKS

__all__ = ['InContextHook', 'LabelMapHook', 'OverClusteringHook']


class LabelMapHook(BackboneMeasureHook):
    """Base: patch features of ``model.get_backbone(source)`` into metrics of label maps.

    Where the numbers go, see :class:`BackboneMeasureHook`.

    Args:
        dataloader: Config of the loader of images with label maps, unshuffled; ``None`` for
            ``<entry>_dataloader`` of the run's config.
        evaluator: Config of the metric, or several; ``None`` for ``<entry>_evaluator`` of the run's
            config.
        interval: Epochs, or iterations, between measurements; the end of the run is measured too.
        by_epoch: Count epochs (of an epoch-based loop) or iterations.
        source: 'teacher' or 'student', as the host's ``get_backbone`` names them, or 'auto': the
            one that the host says is kept.
        initial: Measure the untrained backbone as well.
        file: Name of the file of results in the working directory; ``None`` for ``<entry>.jsonl``.

    Raises:
        ValueError: If the interval is not positive; at the start of the run, if the loop knows no
            epochs, the model offers no backbone or there is no loader or evaluator.
    """

    #: What the entries of a config begin with, and the base config that has them.
    entry: str
    base: str

    def __init__(
        self,
        *,
        dataloader: dict | DataLoader | None = None,
        evaluator: dict | Evaluator | None = None,
        interval: int = 1,
        by_epoch: bool = True,
        source: str = 'auto',
        initial: bool = False,
        file: str | None = None,
    ) -> None:
        super().__init__(
            interval=interval,
            by_epoch=by_epoch,
            source=source,
            initial=initial,
            file=file or f'{self.entry}.jsonl',
        )
        self.dataloader: Any = dataloader  # a config until the run starts, like the evaluator
        self.evaluator: Any = evaluator

    def build(self, runner: Runner, backbone: nn.Module) -> None:
        """Loader and evaluator."""
        self.dataloader = runner.build_dataloader(
            self.from_config(self.dataloader, runner, f'{self.entry}_dataloader', self.base),
            seed=runner.seed,
        )
        self.evaluator = runner.build_evaluator(
            self.from_config(self.evaluator, runner, f'{self.entry}_evaluator', self.base)
        )

    def measure(self, backbone: nn.Module, preprocessor: nn.Module) -> dict[str, float]:
        """The evaluator's numbers of one pass over the data."""
        extractor = FeatureExtractor(backbone=backbone, data_preprocessor=preprocessor)
        return evaluate_loader(extractor, self.dataloader, self.evaluator, 'patch features')


@HOOKS.register_module()
class OverClusteringHook(LabelMapHook):
    """:class:`OverClustering` during training, see :class:`LabelMapHook`."""

    title, entry, base = 'Over-clustering', 'overclustering', 'coco_overclustering.py'

    def shown(self, name: str, value: float) -> str:
        """The scores; deviations stand in the file."""
        return '' if name.endswith(('_std', 'num_classes')) else super().shown(name, value)


@HOOKS.register_module()
class InContextHook(LabelMapHook):
    """:class:`InContextSegmentation` or :class:`PatchKNNSegmentation` during training.

    Or both; see :class:`LabelMapHook`. The loader's data set is a :class:`TaggedConcat`.
    """

    title, entry, base = 'In-context segmentation', 'in_context', 'photos_in_context.py'

    def shown(self, name: str, value: float) -> str:
        """The scores; sizes, settings and those of the tuning part stand in the file."""
        return super().shown(name, value) if 'miou' in name or 'accuracy' in name else ''
