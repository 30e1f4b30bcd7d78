"""O-KNN as a curve beside the loss: the backbone measured during its own pre-training."""

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmdssl.datasets.start_checks import check_images
from mmdssl.engine.hooks.backbone_measure_hook import BackboneMeasureHook
from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor
from mmdssl.evaluation.passes import evaluate_loader
from mmdssl.evaluation.separation import check_separate
from mmdssl.registry import HOOKS

__all__ = ['ObjectKNNHook']

_BASE = 'coco_object_knn.py'


@HOOKS.register_module()
class ObjectKNNHook(BackboneMeasureHook):
    """Evaluate ``model.get_backbone(source)`` every ``interval`` epochs or iterations.

    One pass over the data serves all metrics. Where the numbers go, see
    :class:`BackboneMeasureHook`.

    Args:
        dataloader: Config of the loader of tagged images, unshuffled; ``None`` for
            ``object_knn_dataloader`` of the run's config.
        evaluator: Config(s) of the metrics, e.g. two :class:`ObjectKNN`; ``None`` for
            ``object_knn_evaluator`` of the run's config.
        roi_size: See :class:`FeatureExtractor`.
        upsample_c4: See :class:`FeatureExtractor`.
        file: Name of the file of results in the working directory.
        **timing: ``interval``, ``by_epoch``, ``source``, ``initial``, see
            :class:`BackboneMeasureHook`.

    Raises:
        ValueError: If the interval is not positive; at the start of the run, if the loop knows no
            epochs, the model offers no backbone or there is no loader or evaluator.
    """

    title = 'O-KNN'

    def __init__(
        self,
        *,
        dataloader: dict | DataLoader | None = None,
        evaluator: dict | Sequence[dict] | Evaluator | None = None,
        roi_size: int = 7,
        upsample_c4: bool = True,
        file: str = 'object_knn.jsonl',
        **timing: Any,
    ) -> None:
        super().__init__(file=file, **timing)
        self.dataloader: Any = dataloader  # a config until the run starts, like the evaluator
        self.evaluator: Any = evaluator
        self.extractor_settings: dict[str, Any] = dict(roi_size=roi_size, upsample_c4=upsample_c4)

    def build(self, runner: Runner, backbone: nn.Module) -> None:
        """Loader and evaluator."""
        self.dataloader = runner.build_dataloader(
            self.from_config(self.dataloader, runner, 'object_knn_dataloader', _BASE),
            seed=runner.seed,
        )
        self.evaluator = runner.build_evaluator(
            self.from_config(self.evaluator, runner, 'object_knn_evaluator', _BASE)
        )
        check_images(self.dataloader.dataset)
        check_separate(self.dataloader.dataset, self.evaluator.metrics)

    def measure(self, backbone: nn.Module, preprocessor: nn.Module) -> dict[str, float]:
        """The evaluator's numbers of one pass over the data."""
        extractor = FeatureExtractor(
            backbone=backbone, data_preprocessor=preprocessor, **self.extractor_settings
        )
        return evaluate_loader(extractor, self.dataloader, self.evaluator, 'object features')
