"""What the loader brings: one core's worth of the worker part, and all workers end to end."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import torch
from mmengine.dataset import default_collate
from torch.utils.data import DataLoader

from mmdssl.cli.benchmarks import step as published
from mmdssl.cli.benchmarks.loader import IMAGES, _run, jpeg_files, worker_pipeline
from mmdssl.datasets.workers import seed_worker
from mmdssl.engine.config import load_config
from mmdssl.registry import DATASETS

__all__ = ['rows']

_CONFIG = 'ibot/ibot-d_vit-small-p16_8xb64-coslr-800e_coco.py'


def rows(photos: Path, *, workers: int, seconds: float, batch: int) -> Iterator[dict[str, Any]]:
    """Images per second, two 224 px views each with the masks of iBOT-D.

    Args:
        photos: Folder of JPEG files.
        workers: Processes of the loader.
        seconds: How long the loader is watched after its first batch.
        batch: Images of a batch.
    """
    files = jpeg_files(photos)[:IMAGES]
    pipeline = worker_pipeline()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        _run(pipeline, files[:8])
        start = time.process_time()
        _run(pipeline, files)
        one = len(files) / (time.process_time() - start)
    finally:
        cv2.setNumThreads(threads)
    yield dict(name='worker part on one core', value=one, unit='images/s')
    config = load_config(published.CONFIGS / _CONFIG)
    settings = config.train_dataloader.dataset.to_dict()
    settings.update(data_root=str(photos), max_bad_share=1.0)
    dataset = DATASETS.build(settings)
    loader = DataLoader(
        dataset,
        batch_size=min(batch, len(dataset)),
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        drop_last=True,
        collate_fn=default_collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=seed_worker,
    )
    count, start = 0, 0.0
    while not start or time.perf_counter() - start < seconds:
        for images in loader:
            if not start:
                start = time.perf_counter()  # the first batch pays for the start of the workers
                continue
            count += len(images['inputs']['views'][0])
            if time.perf_counter() - start >= seconds:
                break
    yield dict(
        name=f'loader end to end, {workers} workers, batch {loader.batch_size}',
        value=count / (time.perf_counter() - start),
        unit='images/s',
        reference=f'{photos.name}: {len(dataset)} photos',
    )
