"""LOST and TokenCut against their authors' code, and CorLoc."""

import numpy as np
import pytest
import torch
from scipy.linalg import eigh

from mmdssl.evaluation.object_discovery import box_ious, cells_to_box, lost, tokencut
from mmdssl.registry import METRICS
from tests.golden import Golden

CUTS = ('tokencut', 'tokencut_weighted')


@pytest.fixture(scope='module')
def golden(shared):
    return Golden.load(shared('golden3/object_discovery.npz'))


def photos(golden):
    for index in range(golden.number('cfg_images')):
        photo = golden.sub(f'{index}/')
        height, width = photo['grid_hw'].tolist()
        yield index, photo, photo['keys'].T.unflatten(1, (height, width))


def box_of(golden, photo, mask):
    patch = golden.number('cfg_patch')
    return cells_to_box(mask, (patch, patch), photo['image_size_hw'].tolist())


@pytest.mark.golden
def test_lost_equals_the_official_code(golden):
    for _, photo, keys in photos(golden):
        found = lost(keys, k_patches=golden.number('cfg_k_patches'))
        assert np.array_equal(found.degree, photo['lost/degree'])
        assert found.seed == photo.number('lost/seed')
        assert np.array_equal(found.similar, photo['lost/similar_sorted'])
        want = photo['lost/expansion_f64'].numpy()
        assert np.abs(found.scores - want).max() <= 1e-6 * np.abs(want).max()
        assert np.array_equal(found.mask, photo['lost/mask'])
        box = box_of(golden, photo, found.mask)
        assert box.tolist() == photo['lost/box_xyxy'].tolist()
        ious = box_ious(box, photo['gt_boxes_xyxy'].numpy())
        np.testing.assert_allclose(ious, photo['lost/iou'], rtol=1e-5)


@pytest.mark.golden
@pytest.mark.parametrize('name', CUTS)
def test_tokencut_equals_the_official_code(golden, name):
    settings = dict(tau=golden.number('cfg_tau'), eps=golden.number('cfg_eps'))
    for _, photo, keys in photos(golden):
        found = tokencut(keys, weighted=name != 'tokencut', **settings)
        own = photo.sub(f'{name}/')
        want = own['eigenvector_f64'].numpy().ravel()
        assert np.abs(found.scores - want).max() <= 1e-6 * np.abs(want).max()
        assert np.array_equal(found.foreground, own['bipartition'])
        if own.number('seed_margin') > 1e-6:
            assert found.seed == own.number('seed')
        assert np.array_equal(found.mask, own['component_mask'])
        assert box_of(golden, photo, found.mask).tolist() == own['box_xyxy'].tolist()


@pytest.mark.golden
def test_the_metric_counts_the_official_hits(golden):
    metric = METRICS.build(
        dict(
            type='ObjectDiscovery',
            methods=('lost', 'tokencut'),
            k_patches=golden.number('cfg_k_patches'),
            tau=golden.number('cfg_tau'),
            eps=golden.number('cfg_eps'),
            bootstrap=100,
        )
    )
    patch = golden.number('cfg_patch')
    samples = [
        dict(
            patch_tokens=dict(keys=keys),
            gt_instances=dict(bboxes=photo['gt_boxes_xyxy']),
            img_shape=tuple(photo['image_size_hw'].tolist()),
            batch_input_shape=tuple(patch * side for side in photo['grid_hw'].tolist()),
        )
        for _, photo, keys in photos(golden)
    ]
    metric.process(None, samples)
    for method in ('lost', 'tokencut'):
        hits = [item[method][0] for item in metric.results]
        assert hits == golden[f'{method}/hits'].tolist()
    numbers = metric.evaluate(len(samples))
    for method in ('lost', 'tokencut'):
        want = golden.number(f'{method}/corloc')
        assert numbers[f'discovery/{method}/corloc'] == pytest.approx(100 * want)
        assert numbers[f'discovery/{method}/images'] == len(samples)
        low, high = (numbers[f'discovery/{method}/corloc_{end}'] for end in ('low', 'high'))
        assert low <= 100 * want <= high


def planted(side=8, strength=1.0):
    """A square object, whose patches point one way, on ground that points another."""
    mask = np.zeros((side, side), bool)
    mask[2:5, 3:7] = True
    features = np.random.default_rng(0).normal(0, 0.05, (6, side, side))
    features[0] += np.where(mask, strength, -strength / 4)
    return features, mask


def test_a_planted_object_is_found_by_all():
    features, mask = planted()
    for found in (lost(features), tokencut(features), tokencut(features, weighted=True)):
        assert np.array_equal(found.mask, mask)
    assert cells_to_box(mask, (10, 20), (45, 500)).tolist() == [60, 20, 140, 45]


def test_positive_features_hide_the_object_until_they_are_centred():
    """Why a CNN's outputs need ``center``."""
    features, mask = planted()
    features += 10
    assert lost(features).mask.all()
    assert np.array_equal(lost(features, center=True).mask, mask)
    assert np.array_equal(tokencut(features, center=True).mask, mask)


def test_the_cut_is_the_second_vector_of_the_generalised_problem():
    features = np.random.default_rng(1).normal(size=(5, 4, 6))
    cells = features.reshape(5, -1).T
    unit = cells / np.linalg.norm(cells, axis=1, keepdims=True)
    joined = np.where(unit @ unit.T > 0.3, 1.0, 1e-5)
    degrees = np.diag(joined.sum(axis=1))
    vector = eigh(degrees - joined, degrees, subset_by_index=[1, 1])[1][:, 0]
    found = tokencut(features, tau=0.3).scores
    assert np.abs(np.abs(found) - np.abs(vector)).max() < 1e-8


def test_the_best_threshold_is_labelled():
    features, mask = planted(strength=0.2)
    metric = METRICS.build(
        dict(type='ObjectDiscovery', features='last', methods=['tokencut'], tau=[0.999, 0.2])
    )
    box = torch.from_numpy(cells_to_box(mask, (16, 16), (128, 128)))[None]
    sample = dict(
        patch_tokens=dict(last=torch.from_numpy(features)),
        gt_instances=dict(bboxes=box),
        img_shape=(128, 128),
    )
    metric.process(None, [sample])
    numbers = metric.evaluate(1)
    assert numbers['discovery/tokencut/corloc'] == 0
    assert numbers['discovery/tokencut/corloc_best'] == 100
    assert numbers['discovery/tokencut/tau_best'] == 0.2


def test_a_photo_without_boxes_is_a_miss():
    features, _ = planted()
    metric = METRICS.build(dict(type='ObjectDiscovery', features='last', methods=['lost']))
    sample = dict(
        patch_tokens=dict(last=torch.from_numpy(features)),
        gt_instances=dict(bboxes=torch.zeros(0, 4)),
        img_shape=(128, 128),
    )
    metric.process(None, [sample])
    assert metric.evaluate(1) == {'discovery/lost/corloc': 0.0, 'discovery/lost/images': 1}


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"methods=\['dino'\] must be a list out of"):
        METRICS.build(dict(type='ObjectDiscovery', methods=['dino']))
    with pytest.raises(ValueError, match='tau is an empty list'):
        METRICS.build(dict(type='ObjectDiscovery', tau=[]))
    with pytest.raises(ValueError, match='k_patches=0 must be at least 1'):
        lost(np.ones((2, 2, 2)), k_patches=0)
    with pytest.raises(ValueError, match='eps=0 must be positive'):
        tokencut(np.ones((2, 2, 2)), eps=0)
    with pytest.raises(ValueError, match=r'features are \(C, h, w\) of one photo'):
        lost(np.ones((2, 0, 2)))
    metric = METRICS.build(dict(type='ObjectDiscovery'))
    metric.process(None, [dict(gt_instances=dict(bboxes=torch.zeros(0, 4)))])
    with pytest.raises(ValueError, match=r'none of 1 samples has patch tokens and boxes'):
        metric.evaluate(1)
