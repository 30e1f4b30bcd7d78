"""One short run beside its untrained network: what ``tools/demo.py`` trains and measures."""

import json
from pathlib import Path
from typing import Any

__all__ = ['scores', 'train']


def train(config: Any) -> Any:
    """Pre-train, or go on; gives the runner back.

    The untrained backbone is kept in ``initial_backbone.pth``; its BatchNorms have the statistics
    of training images, without which an untrained network looks worse than it is.
    """
    from mmengine.config import Config
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    from mmdssl.core.checkpointing import atomic_save
    from mmdssl.engine.hooks.checkpoint import train_and_keep
    from mmdssl.engine.untrained import calibrate_untrained

    class KeepInitialBackbone(Hook):
        """Saves what the untrained network of the report is, before it is measured."""

        def before_train(self, runner: Any) -> None:
            if runner.iter == 0:
                calibrate_untrained(runner.model, runner.cfg)
                weights = runner.model.get_backbone().state_dict()
                atomic_save(weights, Path(runner.work_dir) / 'initial_backbone.pth')

    # mmengine lists machine and config while it builds; both are in the report.
    runner = Runner.from_cfg(Config({**config, 'log_level': 'WARNING'}, filename=config.filename))
    for part in (runner.logger, *runner.logger.handlers):
        part.setLevel(config.get('log_level', 'INFO'))
    runner.register_hook(KeepInitialBackbone())
    train_and_keep(runner)
    return runner


def scores(work_dir: Path) -> dict[str, dict[str, float]]:
    """O-KNN of the random and of the pre-trained backbone, by metric name.

    Raises:
        ValueError: If the run has not measured both.
    """
    records = [json.loads(line) for line in (work_dir / 'object_knn.jsonl').open()]
    if not records or records[0]['iter'] != 0 or len(records) < 2:
        raise ValueError(
            f'{work_dir}/object_knn.jsonl does not begin with the untrained network and end with '
            'the trained one; run again with --fresh'
        )
    skipped = ('epoch', 'iter', 'seconds')
    first, last = (
        {name: value for name, value in record.items() if name not in skipped}
        for record in (records[0], records[-1])
    )
    return {'random': first, 'pretrained': last}
