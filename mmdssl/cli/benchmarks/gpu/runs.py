"""Real runs of a few minutes: the training command on photos, with O-KNN along the way."""

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdssl.cli.benchmarks.gpu.steps import narrow
from mmdssl.engine.config import load_config
from mmdssl.engine.dry_run import dry_run
from mmdssl.engine.launch import build_runner, prepare_config, train

__all__ = ['rows']


def rows(
    config: Path,
    *,
    photos: Path,
    out: Path,
    seconds: float,
    device: str,
    smoke: bool,
    workers: int,
    speed: float | None = None,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Train a config for about so long and read what its hooks wrote.

    The number of iterations is set before the run, because its schedules need it: from ``speed``,
    or from a rehearsal of some steps.

    Args:
        config: Of ``configs/photos``.
        photos: Folder with ``unlabelled`` and ``voc``.
        out: Work folder.
        seconds: Length of the training, evaluations not counted.
        device: ``'cuda'`` or ``'cpu'``.
        smoke: Two iterations of 8 images on a CPU.
        workers: Of the loaders.
        speed: Images per second to plan with.
        seed: Of the run.
    """
    batch = 8 if smoke else load_config(config).train_dataloader.batch_size
    iterations = 2
    if not smoke:
        if speed is None:
            rehearsed = _prepared(
                config, photos, out, device=device, workers=workers, batch=batch, iterations=100,
                seed=seed, smoke=False,
            )  # fmt: skip
            speed = dry_run(rehearsed, steps=20, warmup=40).images_per_second
        iterations = max(50, int(seconds * speed / batch))
    settings = _prepared(
        config, photos, out, device=device, workers=workers, batch=batch, iterations=iterations,
        seed=seed, smoke=smoke,
    )  # fmt: skip
    start = time.perf_counter()
    train(build_runner(settings))
    taken = time.perf_counter() - start
    records = [json.loads(line) for line in (out / 'object_knn.jsonl').read_text().splitlines()]
    measuring = sum(record['seconds'] for record in records)
    name = f'run {config.stem}'
    rate = iterations * batch / max(taken - measuring, 1e-9)
    yield dict(
        name=name,
        value=rate,
        unit='images/s, end to end',
        reference=f'{iterations} iterations of {batch}, {taken:.0f} s, of which {measuring:.0f} '
        'evaluation',
    )
    for record in records:
        for key in ('oknn/top1', 'oknn_d/top1', 'oknn_clean_bank/top1'):
            if key in record:
                yield dict(name=f'{name}, iteration {record["iter"]}', value=record[key], unit=key)


def _prepared(
    config: Path,
    photos: Path,
    out: Path,
    *,
    device: str,
    workers: int,
    batch: int,
    iterations: int,
    seed: int,
    smoke: bool,
) -> Config:
    """The config of a run: data, length and what follows from it."""
    settings = load_config(config, dict(data_root=str(photos)))
    for loader in (settings.train_dataloader, settings.object_knn_dataloader):
        loader.num_workers = workers
        loader.persistent_workers = workers > 0
    settings.train_dataloader.batch_size = batch
    # Warm-up keeps its share.
    planned, settings.train_cfg.max_iters = settings.train_cfg.max_iters, iterations
    for scheduler in settings.param_scheduler:
        if scheduler.get('warmup_iters'):
            scheduler.warmup_iters = math.ceil(scheduler.warmup_iters * iterations / planned)
    for hook in settings.custom_hooks:
        if hook['type'] == 'ObjectKNNHook':
            hook['interval'] = max(1, iterations // 5)
    settings.default_hooks.checkpoint.interval = iterations
    settings.default_hooks.checkpoint.by_epoch = False
    if smoke:
        settings.object_knn_dataloader.batch_size = 16
        for part in settings.object_knn_dataloader.dataset.datasets.values():
            part.max_images = 16
        narrow(settings.model)
        if 'queue_length' in settings.model:
            settings.model.queue_length = 8
    return prepare_config(
        settings, work_dir=out, amp='bf16' if device == 'cuda' else 'off', seed=seed
    )
