"""All pictures of one pre-training run: what it saw, how it went, what its features see."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor, nn

from mmdssl.registry import DATASETS
from mmdssl.visualization.affinity import affinity_of, draw_affinity
from mmdssl.visualization.curves import Curve, draw_curves, read_object_knn, read_scalars
from mmdssl.visualization.decoupled import draw_decoupled
from mmdssl.visualization.figure import loaded_image
from mmdssl.visualization.mask_examples import draw_mask_kinds
from mmdssl.visualization.preview import build_model, stride_of, training_batches
from mmdssl.visualization.views import draw_batch

__all__ = [
    'SCORE_NAMES',
    'draw_batches',
    'draw_features',
    'draw_progress',
    'pick_points',
    'query_images',
]

#: What the metrics of ``configs/_base_/datasets/coco_object_knn.py`` are called in print.
SCORE_NAMES = {
    'oknn': 'O-KNN',
    'oknn_d': 'O-KNN-D',
    'oknn_clean_bank': 'clean bank, disturbed queries',
}


def draw_batches(config: Config, out: Path, *, images: int = 7) -> dict[str, Path]:
    """``masks.png``, ``views.png`` and, with the de-coupling branch, ``xd.png``.

    All show the first batch; ``masks.png`` the kinds of masks on one of its views.

    Args:
        config: Of the run.
        out: Folder.
        images: Columns.

    Returns:
        Files by name.
    """
    model = build_model(config)
    data_preprocessor, branch = model.data_preprocessor, getattr(model, 'decoupling', None)
    stride = stride_of(model.backbone)
    batch = next(training_batches(config, 1))
    first = loaded_image(batch.data['inputs']['views'][0][-1])
    files = {
        'masks': draw_mask_kinds(first, _mask_cells(batch.data['inputs']), out / 'masks.png'),
        'views': draw_batch(
            batch.data,
            data_preprocessor,
            out / 'views.png',
            branch=branch,
            compose=getattr(model, 'compose', None),
            regions=batch.regions,
            max_images=images,
            stride=stride,
        ),
    }
    if branch is not None:
        files['xd'] = draw_decoupled(
            batch.data,
            data_preprocessor,
            out / 'xd.png',
            branch=branch,
            max_samples=images,
            stride=stride,
        )
    return files


def draw_progress(work_dir: Path, out: Path, *, plain: Path | None = None) -> Path:
    """``curves.png``: the losses and the O-KNN of the run in ``work_dir``.

    Args:
        work_dir: Folder of the run.
        out: Folder of the picture.
        plain: Folder of the run without the branch, whose O-KNN is drawn dashed.
    """
    scalars = read_scalars(work_dir)
    losses = {
        'total': scalars['loss'],
        **{name[5:]: curve for name, curve in scalars.items() if name.startswith('loss_')},
    }
    beside = {} if plain is None else _top1(plain)
    return draw_curves(losses, _top1(work_dir), out / 'curves.png', beside=beside)


def _top1(work_dir: Path) -> dict[str, Curve]:
    """Top-1 by the metric's name in print."""
    return {
        SCORE_NAMES.get(name.removesuffix('/top1'), name.removesuffix('/top1')): curve
        for name, curve in read_object_knn(work_dir / 'object_knn.jsonl').items()
        if name.endswith('/top1')
    }


def draw_features(
    config: Config,
    networks: Mapping[str, nn.Module],
    data_preprocessor: nn.Module,
    out: Path,
    *,
    size: int,
    images: int = 3,
) -> Path:
    """``affinity.png``: point affinity of several networks on query images of O-KNN.

    Args:
        config: Of the run; its ``object_knn_dataloader`` names the images.
        networks: Backbones by the name to print.
        data_preprocessor: Normalises.
        out: Folder.
        size: Side that images are resized to, pixels.
        images: Images to show, evenly spaced over those with at least two objects.
    """
    shown, points = query_images(config, images, size)
    inputs = data_preprocessor({'inputs': shown}, training=False)['inputs']
    maps = {name: affinity_of(network, inputs, points) for name, network in networks.items()}
    return draw_affinity(shown, points, maps, out / 'affinity.png')


def pick_points(boxes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A point on an object and one on the background.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in pixels, N >= 1.
        shape: Height and width of the image.

    Returns:
        (2, 2) x, y in [0, 1]: the centre of the largest box, and the place
        farthest from every box and from the border.
    """
    height, width = shape
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    x1, y1, x2, y2 = boxes[areas.argmax()]
    grid = (np.arange(32) + 0.5) / 32
    x, y = np.meshgrid(grid * width, grid * height)
    left, top, right, bottom = (boxes[:, i, None, None] for i in range(4))
    beside = np.maximum(np.maximum(left - x, x - right), 0)  # (N, 32, 32)
    above = np.maximum(np.maximum(top - y, y - bottom), 0)
    away = np.hypot(beside, above).min(axis=0)
    border = np.minimum.reduce([x, width - x, y, height - y])
    row, column = np.unravel_index(np.minimum(away, border).argmax(), away.shape)
    return np.array(
        [
            [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height],
            [grid[column], grid[row]],
        ],
        dtype=np.float32,
    )


def _mask_cells(inputs: dict) -> tuple[int, int]:
    """Rows and columns of the masks of a batch; 14 x 14 patches for a batch without."""
    for key in ('mask', 'dc_mask'):
        if inputs.get(key):
            height, width = inputs[key][0].shape[-2:]
            return height, width
    return 14, 14


def query_images(config: Config, count: int, size: int) -> tuple[Tensor, Tensor]:
    """Query images of O-KNN with a point on an object and one on the background.

    Args:
        config: Its ``object_knn_dataloader`` names the images.
        count: Images, evenly spaced over those with at least two objects.
        size: Side that they are squashed to, pixels.

    Returns:
        (n, 3, size, size) uint8 RGB, or n channels as the loader reads them, and (n, 2, 2) points
        x, y in [0, 1].

    Raises:
        ValueError: If no image has two objects.
    """
    settings = config.object_knn_dataloader.dataset.to_dict()
    part = {'data_root': settings.get('data_root', ''), **settings['datasets']['query']}
    steps = settings.get('pipeline') or ()
    load = next((s for s in steps if s['type'].endswith('LoadImage')), dict(type='LoadImage'))
    dataset = DATASETS.build({**part, 'pipeline': [load]})
    crowded = [
        index
        for index in range(len(dataset))
        if len(dataset.get_data_info(index)['gt_bboxes']) >= 2
    ]
    if not crowded:
        raise ValueError('no query image has two objects to show the affinity of')
    chosen = [crowded[len(crowded) * i // count] for i in range(min(count, len(crowded)))]
    pictures, points = [], []
    for index in chosen:
        sample = dataset[index]
        image = torch.from_numpy(sample['img']).permute(2, 0, 1)[None]
        grown = F.interpolate(
            image.float(), size=(size, size), mode='bicubic', align_corners=False, antialias=True
        )
        whole = image.dtype == torch.uint8
        pictures.append(grown.round().clamp(0, 255).byte() if whole else grown.clamp(0, 1))
        points.append(torch.from_numpy(pick_points(sample['gt_bboxes'], sample['img_shape'])))
    return torch.cat(pictures), torch.stack(points)
