"""Where the curves of a run go besides its own folder: by mmengine's backends, one word each.

Nothing is sent unless a config or an option says so. TensorBoard writes beside the run and is used
where it is installed; the others may send what the run logs, its config included, to their server.
"""

import importlib.util
import os
import uuid
from pathlib import Path
from typing import Any

from mmengine.config import Config

__all__ = ['LOGGERS', 'add_logger', 'check_loggers', 'require_logger']

#: Word -> mmengine's backend and the package that it needs.
LOGGERS = {
    'tensorboard': ('TensorboardVisBackend', 'tensorboard'),
    'wandb': ('WandbVisBackend', 'wandb'),
    'mlflow': ('MLflowVisBackend', 'mlflow'),
    'clearml': ('ClearMLVisBackend', 'clearml'),
}
_PROJECT = 'mmdssl'


def require_logger(name: str) -> None:
    """Refuse a logger whose package is missing.

    Raises:
        ValueError: There is no such logger, or it is not installed.
    """
    if name not in LOGGERS:
        raise ValueError(f'log={name}: give one of {", ".join(LOGGERS)}')
    kind, package = LOGGERS[name]
    if not _installed(package):
        raise ValueError(
            f'{kind} needs {package}, which is not installed: pip install {package}, or log '
            'without it'
        )


def add_logger(config: Config, name: str, work_dir: str | Path) -> None:
    """Let a run log by a backend, in place; one that the config has already keeps its settings.

    Args:
        config: Of the run.
        name: A key of `LOGGERS`.
        work_dir: The folder of the run, whose name names it.

    Raises:
        ValueError: See :func:`require_logger`.
    """
    require_logger(name)
    visualizer = config.get('visualizer') or dict(type='Visualizer', vis_backends=[])
    backends = list(visualizer.get('vis_backends') or [])
    kind = LOGGERS[name][0]
    if all(backend.get('type') != kind for backend in backends):
        backends.append(dict(type=kind, **_settings(name, Path(work_dir).absolute())))
    visualizer['vis_backends'] = backends
    config.visualizer = visualizer


def check_loggers(config: Config) -> None:
    """TensorBoard where it is installed, and no backend without its package, in place.

    Raises:
        ValueError: The config has a backend whose package is missing.
    """
    visualizer = config.get('visualizer')
    if visualizer is None:
        return
    backends = list(visualizer.get('vis_backends') or [])
    kinds = [str(backend.get('type')).rpartition('.')[2] for backend in backends]
    for name, (kind, _) in LOGGERS.items():
        if kind in kinds:
            require_logger(name)
    board, package = LOGGERS['tensorboard']
    if board not in kinds and _installed(package):
        visualizer.vis_backends = [*backends, dict(type=board)]


def _settings(name: str, folder: Path) -> dict[str, Any]:
    """Project and name of the run in a folder, by each backend's words."""
    run = folder.name
    if name == 'wandb':
        # An identity of its own, which the config keeps: a resumed run goes on with its curves.
        own = dict(id=uuid.uuid4().hex[:12], resume='allow', allow_val_change=True)
        return dict(init_kwargs=dict(project=_PROJECT, name=run, **own))
    if name == 'mlflow':
        own = dict(exp_name=_PROJECT, run_name=run)
        if server := os.environ.get('MLFLOW_TRACKING_URI'):
            return dict(own, tracking_uri=server)
        # mmengine's own default, plain files, is refused by MLflow 3.
        return dict(
            own,
            tracking_uri=f'sqlite:///{folder / "mlflow.db"}',
            artifact_location=str(folder / 'mlflow'),
            artifact_suffix=(),  # the run's files lie beside it; copies would be copied in turn
        )
    if name == 'clearml':
        return dict(init_kwargs=dict(project_name=_PROJECT, task_name=run))
    return {}


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
