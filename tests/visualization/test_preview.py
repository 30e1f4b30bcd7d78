"""A preview gives the batches of a run, and the regions that belong to their masks."""

import numpy as np
import pytest
import torch
from mmengine.runner import Runner, set_random_seed

from mmdssl.models.branches.decoupling import DecouplingBranch
from mmdssl.visualization.preview import build_model, training_batches
from tests.tiny_scenes import tiny_config, write_tiny_scenes


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return tiny_config(write_tiny_scenes(tmp_path_factory.mktemp('scenes')))


def test_regions_belong_to_their_masks(config):
    config = config.copy()
    whole = []  # one region a mask, cut wholly: the mask is its region
    for prefix, key in (('', 'mask'), ('dc_', 'dc_mask')):
        names = dict(key=key, regions_key=f'{prefix}regions')
        whole.append(dict(type='GridRegions', grid=1, scale=(0.1, 0.4), key=f'{prefix}regions'))
        whole.append(dict(type='RegionCollaborativeCutout', ratio=1.0, **names))
    pipeline = config.train_dataloader.dataset.pipeline
    pipeline[1].pipelines = [[*config.crop, *whole]]
    first, second = training_batches(config, 2)
    for batch in (first, second):
        assert set(batch.regions) == {'mask', 'dc_mask'}
        for key, views in batch.regions.items():
            for masks, boxes in zip(batch.data['inputs'][key], views, strict=True):
                assert len(masks) == len(boxes) == 24
                for mask, ((x1, y1, x2, y2),) in zip(masks.numpy(), boxes, strict=True):
                    rows, columns = np.nonzero(mask)
                    found = columns.min(), rows.min(), columns.max(), rows.max()
                    np.testing.assert_allclose(found, (x1, y1, x2, y2), atol=1.01)


def test_batches_are_those_of_a_run_without_notes(config):
    seen = [batch.data for batch in training_batches(config, 2)]
    set_random_seed(config.randomness.seed)
    plain = {**config.train_dataloader.to_dict(), 'num_workers': 0, 'persistent_workers': False}
    batches = iter(Runner.build_dataloader(plain, seed=config.randomness.seed))
    for data in seen:
        expected = next(batches)
        for own, other in zip(data['inputs']['views'], expected['inputs']['views'], strict=True):
            assert torch.equal(own, other)


def test_parts_are_those_of_the_model(config):
    model = build_model(config)
    branch = model.decoupling
    assert type(model.data_preprocessor).__name__ == 'MultiViewPreprocessor'
    assert isinstance(branch, DecouplingBranch)
    assert branch.key_views == (0, 1)  # a default of the host, not of the branch
    plain = config.copy()
    plain.model.decoupling = None
    assert build_model(plain).decoupling is None


def test_too_little_data_is_one_clear_error(config):
    small = config.copy()
    small.train_dataloader.dataset.max_images = 5
    small.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=True)
    with pytest.raises(ValueError, match='hold 5 images, less than one batch of 24'):
        next(training_batches(small, 1))
