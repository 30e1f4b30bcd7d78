"""One pass of a loader through an extractor into metrics, with progress."""

from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader

from mmdssl.evaluation.guards import preserve_rng_state

__all__ = ['evaluate_loader']


def evaluate_loader(
    extractor: BaseModel,
    loader: DataLoader,
    evaluator: Evaluator,
    description: str,
    *,
    progress: bool = True,
) -> dict[str, float]:
    """Run ``extractor.test_step`` over a loader and evaluate; random states are given back.

    Every process of a distributed run must call it.

    Args:
        extractor: E.g. :class:`FeatureExtractor`.
        loader: Unshuffled; its data set tells the evaluator its ``metainfo``.
        evaluator: Of metrics that read what the extractor adds to the samples.
        description: Of the progress bar.
        progress: Show one, where a terminal is there to see it.

    Returns:
        Numbers by name.
    """
    evaluator.dataset_meta = getattr(loader.dataset, 'metainfo', None)
    console = Console(stderr=True)
    quiet = not (progress and is_main_process() and console.is_terminal)
    with preserve_rng_state():
        for batch in track(loader, description, console=console, disable=quiet, transient=True):
            evaluator.process(extractor.test_step(batch), batch)
        return evaluator.evaluate(len(loader.dataset))  # type: ignore[arg-type]
