"""Norms before the final norm: equal to the golden ones, shares, neighbours, tokens in front."""

import numpy as np
import pytest
import torch

from mmdssl.evaluation.artefact_tokens import artefact_tokens, neighbour_cosines
from mmdssl.evaluation.tokens import patch_tokens
from mmdssl.registry import METRICS
from tests.golden import Golden, assert_close
from tests.models.backbones.dinos import build


@pytest.fixture(scope='module')
def golden(shared):
    return Golden.load(shared('golden3/artefact_norms.npz'))


@pytest.mark.golden
def test_shares_and_neighbours_equal_the_golden_ones(golden):
    height, width = golden['cfg_grid'].tolist()

    def maps(key):
        return golden[key].mT.unflatten(2, (height, width))

    metric = METRICS.build(
        dict(
            type='ArtefactTokens',
            cutoff=golden.number('cfg_cutoff'),
            relative=golden.number('cfg_relative'),
            bootstrap=100,
        )
    )
    both = zip(maps('prenorm_patches'), maps('patch_embeddings'), strict=True)
    samples = [dict(patch_tokens=dict(prenorm=one, embedding=own)) for one, own in both]
    metric.process(None, samples)
    numbers = metric.evaluate(len(samples))
    numbers = {name.removeprefix('artefacts/'): value for name, value in numbers.items()}
    assert_close(torch.from_numpy(metric.norms), golden['norms_f64'], 1e-6)
    over = metric.norms > golden.number('cfg_cutoff')
    assert np.array_equal(over, golden['over_cutoff'])
    for name, key in (
        ('share_cutoff', 'share_over_cutoff'),
        ('share_relative', 'share_over_relative'),
    ):
        assert numbers[name] == pytest.approx(100 * golden.number(key), rel=1e-6)
        assert numbers[f'{name}_low'] <= numbers[name] <= numbers[f'{name}_high']
    assert numbers['median'] == pytest.approx(golden.number('median_norm_f64'), rel=1e-6)
    want = golden.number('max_over_median_f64')
    assert numbers['max_over_median'] == pytest.approx(want, rel=1e-6)
    cosines = np.stack([neighbour_cosines(one).ravel() for one in maps('patch_embeddings')])
    np.testing.assert_allclose(cosines, golden['neighbour_cosine_f64'], atol=1e-6)
    for name, key in (('outliers', 'outlier'), ('others', 'normal')):
        want = golden.number(f'neighbour_cosine_mean_{key}_f64')
        assert numbers[f'neighbour_cosine_{name}'] == pytest.approx(want, abs=1e-6)


@torch.no_grad()
@pytest.mark.golden
@pytest.mark.parametrize('name', ['dinov2_plain', 'dinov2_reg', 'dinov3_mlp'])
def test_networks_have_the_golden_norms(golden, shared, tmp_path, name):
    own, weights = golden.sub(f'net/{name}/'), Golden.load(shared(f'golden3/{name}.npz'))
    net = build(weights, tmp_path)
    found = patch_tokens(net, weights['images'], ['prenorm'])['prenorm']
    assert_close(found.patches.flatten(2).norm(dim=1), own['patch_norms'], 1e-4)
    front = found.prefix.norm(dim=2)
    assert_close(front[:, 0], own['cls_norms'], 1e-4)
    assert front.shape[1] == 1 + net.registers
    if net.registers:
        assert_close(front[:, 1:], own['register_norms'], 1e-4)


@torch.no_grad()
@pytest.mark.golden
@pytest.mark.parametrize('name', ['dinov2_plain', 'dinov2_reg', 'dinov2_swiglu', 'dinov3_gated'])
def test_keys_are_those_of_the_official_networks(shared, tmp_path, name):
    golden = Golden.load(shared(f'golden3/{name}.npz'))
    net = build(golden, tmp_path)
    found = patch_tokens(net, golden['other1_images'], ['last', 'keys', 'embedding'])
    rotary = 'cfg_rope_base' in golden
    want = golden['other1_last_keys_before_rope' if rotary else 'other1_last_keys']
    first = 1 + net.registers
    assert_close(found['keys'].patches.flatten(2).mT, want[:, first:], 1e-4)
    assert_close(found['keys'].prefix, want[:, :first], 1e-4)
    assert_close(found['last'].patches.flatten(2).mT, golden['other1_patches'], 1e-4)
    assert_close(
        found['embedding'].patches.flatten(2).mT, net.patch_embed(golden['other1_images'])[0], 1e-5
    )


def test_a_long_token_is_an_outlier_by_both_cuts():
    norms = np.full((2, 50), 10.0)
    norms[0, 3] = 200
    found = artefact_tokens(norms)
    assert found['share_cutoff'] == found['share_relative'] == 1
    assert (found['median'], found['max_over_median'], found['q99.9']) == (
        10,
        20,
        pytest.approx(181.19, abs=0.01),
    )
    assert artefact_tokens(norms, cutoff=300)['share_cutoff'] == 0


def test_neighbours_share_an_edge():
    features = np.zeros((2, 2, 3))
    features[0] = 1
    features[:, 0, 0] = [0, 1]  # at a right angle to all others
    found = neighbour_cosines(features)
    assert found.tolist() == pytest.approx(np.array([[0, 2 / 3, 1], [0.5, 1, 1]]))
    assert np.isnan(neighbour_cosines(np.ones((2, 1, 1)))).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r'cutoff=0 and relative=3\.0 must be positive'):
        METRICS.build(dict(type='ArtefactTokens', cutoff=0))
    metric = METRICS.build(dict(type='ArtefactTokens'))
    metric.process(None, [{}])
    with pytest.raises(ValueError, match=r'none of 1 samples has patch tokens: set extractor'):
        metric.evaluate(1)
    metric.process(None, [dict(patch_tokens=dict(prenorm=torch.ones(2, n, 2))) for n in (2, 3)])
    with pytest.raises(ValueError, match='images differ in their patches'):
        metric.evaluate(2)
    with pytest.raises(ValueError, match='artefact_tokens got no tokens'):
        artefact_tokens(np.zeros((0, 4)))
