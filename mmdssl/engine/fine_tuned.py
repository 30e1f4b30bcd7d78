"""A fine-tuned detector or segmentor on its test data, with scores and pictures."""

from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from mmdssl.core.reading import load_checkpoint_file
from mmdssl.engine.exchange import check_exchange
from mmdssl.engine.frameworks import framework_of
from mmdssl.engine.local_runner import local_runner
from mmdssl.engine.unwrap import unwrap_model

__all__ = ['build_test_runner']


def build_test_runner(
    config: Config, checkpoint: Path | None, work_dir: str, *, show_dir: Path | None = None
) -> Runner:
    """A fine-tuned detector or segmentor, ready for ``runner.test()``.

    Args:
        config: With ``default_scope`` 'mmdet' or 'mmseg'.
        checkpoint: Of the fine-tuning run; every tensor of the model must be in it.
        work_dir: For logs.
        show_dir: Folder for pictures of all predictions; None: no pictures.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If there is none given, the config has no test data, or the checkpoint
            does not fit.
    """
    if checkpoint is None:
        raise ValueError(
            f'a config of {framework_of(config)} is tested with the checkpoint of its fine-tuning '
            'run: give it after the config'
        )
    for part in ('test_dataloader', 'test_evaluator'):
        if config.get(part) is None:
            raise ValueError(f'{config.filename}: no {part}; there is nothing to test on')
    load_checkpoint_file(checkpoint)  # says clearly what is wrong with a file
    config.work_dir = work_dir
    config.load_from, config.resume = None, False
    config.setdefault('test_cfg', dict())
    if show_dir is not None:
        _draw_into(config, show_dir)
    check_exchange(config)
    runner = local_runner(config)
    try:
        runner.load_checkpoint(str(checkpoint), strict=True)
    except RuntimeError as error:
        first = next((line.strip() for line in str(error).splitlines()[1:] if line.strip()), error)
        model = type(unwrap_model(runner.model)).__name__
        raise ValueError(
            f'{checkpoint} is not a checkpoint of the {model} of {config.filename}: '
            f'{str(first)[:200]}; give the config it was trained with'
        ) from error
    return runner


def _draw_into(config: Config, folder: Path) -> None:
    """Switch the framework's own hook for pictures on."""
    if framework_of(config) == 'mmdet':
        hook = dict(type='DetVisualizationHook', draw=True, test_out_dir=str(folder.resolve()))
    else:  # its pictures go through the visualizer
        hook = dict(type='SegVisualizationHook', draw=True)
        config.visualizer = dict(
            type='SegLocalVisualizer',
            vis_backends=[dict(type='LocalVisBackend', img_save_dir='.')],
            save_dir=str(folder.resolve()),
        )
    config.default_hooks = {**config.get('default_hooks', {}), 'visualization': hook}
