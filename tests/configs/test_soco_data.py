"""SoCo's data configs give batches of the contract, and the branch disturbs nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from PIL import Image

from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.datasets.transforms.random_streams import restart_streams
from mmdssl.registry import MODELS

FOLDER = Path(__file__).parents[2] / 'configs/_base_/datasets'
FILES = ['coco_soco', 'coco_soco_128px', 'scenes_soco']
HEIGHT, WIDTH, BATCH = 150, 200, 6


def some_boxes(results: dict) -> dict:
    """In place of the stored proposals; every third image has none."""
    rng = np.random.default_rng(results['sample_idx'])
    count = 0 if results['sample_idx'] % 3 == 2 else 12
    start = rng.integers(0, (WIDTH - 90, HEIGHT - 90), (count, 2))
    corners = np.concatenate([start, start + rng.integers(30, 89, (count, 2))], axis=1)
    return {**results, 'proposals': corners.astype(np.float32)}


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp('photos'), np.random.default_rng(0)
    for number in range(BATCH):
        pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f'{number}.png')
    return folder


def load_batch(config, name, photos):
    steps = [some_boxes if step['type'] == 'LoadProposals' else step for step in config[name]]
    assert some_boxes in steps
    pipeline = build_pipeline(steps)
    np.random.seed(0)
    torch.manual_seed(0)
    restart_streams()
    return default_collate(
        [pipeline(dict(img_path=str(photos / f'{i}.png'), sample_idx=i)) for i in range(BATCH)]
    )


@pytest.mark.parametrize('file', FILES)
@pytest.mark.parametrize('name', ['soco_pipeline', 'decoupled_pipeline', 'soco_rcc_pipeline'])
def test_batches_hold_views_boxes_and_masks(file, name, photos):
    config = Config.fromfile(FOLDER / f'{file}.py')
    size = 224 if file == 'coco_soco' else 128
    data = load_batch(config, name, photos)
    masks = {'erase', 'dc_mask'} if name == 'decoupled_pipeline' else {'erase'}
    assert set(data['inputs']) == {'views', 'boxes', 'box_ids'} | masks
    training = MODELS.build(config.data_preprocessor)(data, training=True)['inputs']
    matched = []
    for view in range(2):
        image, boxes = training['views'][view], training['boxes'][view]
        assert image.shape == (BATCH, 3, size, size)
        assert (boxes.shape, boxes.dtype) == ((BATCH, 4, 4), torch.float32)
        assert (training['box_ids'][view].dtype) == torch.int64
        assert (boxes[..., 2:] > boxes[..., :2]).all()
        assert boxes.min() >= 0
        assert boxes.max() <= size
        for key in masks:
            mask = training[key][view]
            assert (mask.shape, mask.dtype) == ((BATCH, size, size), torch.bool)
            assert bool(mask.any()) == (key == 'dc_mask' or view == 1)
        erased = training['erase'][view]
        assert (image.permute(0, 2, 3, 1)[erased] == 0).all()
        matched.append(training['box_ids'][view])
    share = matched[0][:, :, None] == matched[1][:, None]
    assert share.any(dim=2).all()  # every box of view 0 is in view 1
    assert share.any(dim=1).all()


def test_the_branch_leaves_views_boxes_and_cutout_bit_equal(photos):
    config = Config.fromfile(FOLDER / 'coco_soco.py')
    plain, decoupled = (
        load_batch(config, name, photos)['inputs']
        for name in ('soco_pipeline', 'decoupled_pipeline')
    )
    for key, tensors in plain.items():
        for one, two in zip(tensors, decoupled[key], strict=True):
            assert torch.equal(one, two), key
