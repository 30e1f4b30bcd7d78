"""What is measured of a backbone, at a few points of its run: O-KNN three ways and coupling.

The images of all measures are composed once in a run and kept, so that a further point costs
forward passes only. A measurement leaves no trace: the run goes on bit by bit as one that was not
measured.
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mmdssl.core.checkpointing import atomic_text
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor
from mmdssl.evaluation.guards import preserve_rng_state
from mmdssl.evaluation.measure import build_diagnostics, measure

__all__ = ['Instruments', 'KeptBatches', 'MeasureHook', 'read_measurements']


class KeptBatches:
    """The batches of a loader, made once; stands for the loader where it is read again and again.

    Attributes:
        dataset: That of the loader.
    """

    def __init__(self, loader: DataLoader) -> None:
        self.dataset: Dataset = loader.dataset
        with preserve_rng_state():
            self._batches = list(loader)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._batches)


class Instruments:
    """All measures of the study, for any number of backbones of one kind.

    Args:
        config: With ``object_knn_dataloader``, ``object_knn_evaluator``, ``coupling_diagnostics``.
        backbone: Of the kind that is measured: patches are removed for a ViT, A is shrunk for a
            CNN.
    """

    def __init__(self, config: Any, backbone: nn.Module) -> None:
        with preserve_rng_state():
            loader = Runner.build_dataloader(config.object_knn_dataloader.copy(), seed=0)
        self.objects = KeptBatches(loader)
        self.knn = Evaluator([dict(one) for one in config.object_knn_evaluator])
        self.knn.dataset_meta = loader.dataset.metainfo  # type: ignore[attr-defined]
        self.probes = build_diagnostics(config.coupling_diagnostics.to_dict(), backbone=backbone)
        self.images = {name: KeptBatches(probe.loader) for name, probe in self.probes.items()}

    def __call__(self, backbone: nn.Module, preprocessor: nn.Module) -> dict[str, float]:
        """Numbers by name, e.g. ``'oknn/top1'`` and ``'cr_inter/last/full_angle'``.

        Args:
            backbone: Measured in evaluation mode; gets its modes back.
            preprocessor: Normalises uint8 images.
        """
        extractor = FeatureExtractor(backbone=backbone, data_preprocessor=preprocessor)
        with preserve_rng_state():
            for batch in self.objects:
                self.knn.process(extractor.test_step(batch), batch)
            numbers = self.knn.evaluate(len(self.objects.dataset))  # type: ignore[arg-type]
        for name, probe in self.probes.items():
            numbers |= measure(
                backbone,
                preprocessor,
                self.images[name],  # type: ignore[arg-type]
                probe.metrics,
                layers=probe.layers,
                progress=False,
            )
        return {name: float(value) for name, value in numbers.items()}


class MeasureHook(Hook):
    """Measures the backbone to keep at shares of a run; a line of json each.

    Args:
        shares: Of the iterations of the run; 0 is the untrained network.
        file: Where the lines go. A resumed run goes on with it, a fresh one starts it anew.
    """

    # After the teacher's update and before the checkpoint, as ObjectKNNHook.
    priority = 'LOW'

    def __init__(self, shares: Sequence[float], file: Path) -> None:
        self.shares = shares
        self.file = file
        self.points: frozenset[int] = frozenset()
        self.instruments: Instruments | None = None

    def before_train(self, runner: Runner) -> None:
        """Drop what an interrupted run measured after its last checkpoint; measure the start."""
        self.points = frozenset(round(share * runner.max_iters) for share in self.shares)
        if is_main_process():
            lines = [line for line in read_measurements(self.file) if line['iter'] <= runner.iter]
            kept = lines if runner.iter else []
            atomic_text(''.join(json.dumps(line) + '\n' for line in kept), self.file)
        if runner.iter == 0 and 0 in self.points:
            self._measure(runner, 0)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Measure at the points."""
        if runner.iter + 1 in self.points:
            self._measure(runner, runner.iter + 1)

    def _measure(self, runner: Runner, done: int) -> None:
        begin = time.perf_counter()
        model = unwrap_model(runner.model)
        backbone = model.get_backbone()
        if self.instruments is None:
            self.instruments = Instruments(runner.cfg, backbone)
        numbers = self.instruments(backbone, model.data_preprocessor)
        seconds = round(time.perf_counter() - begin, 2)
        record = dict(iter=done, share=done / runner.max_iters, seconds=seconds, **numbers)
        if is_main_process():
            with self.file.open('a') as file:
                file.write(json.dumps(record) + '\n')


def read_measurements(file: Path) -> list[dict[str, Any]]:
    """The lines of a file of measurements; a last one cut short by a kill is left out."""
    if not file.exists():
        return []
    lines = file.read_text(encoding='utf-8').splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith('\n')]
