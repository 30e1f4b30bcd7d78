"""Intra-object coupling and self-cosines: nets whose answer is known, and plain loops."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mmdssl.evaluation.background_sensitivity import BackgroundSensitivity
from mmdssl.evaluation.intra_coupling import IntraObjectCoupling
from mmdssl.evaluation.measure import (
    build_diagnostic,
    build_diagnostics,
    measure,
    measure_diagnostics,
)
from mmdssl.registry import DATASETS
from tests.datasets.diagnostics.diagnostic_files import write_objects
from tests.evaluation.toy_backbones import MixNet, PatchNet, rises

RESTS = (
    dict(type='IntraObjectCoupling', rest='object'),
    dict(type='IntraObjectCoupling', rest='all', prefix='cr_intra_all'),
)
ALPHAS = (0, 0.2, 0.5, 1, 2)


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_objects(tmp_path_factory.mktemp('parts'))


def loader(kind: str, files: dict) -> dict:
    return dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type=kind, **files, num=10, size=112),
    )


def diagnostics(files: dict) -> dict[str, dict]:
    return dict(
        intra=dict(dataloader=loader('ObjectParts', files), evaluator=list(RESTS)),
        background=dict(
            dataloader=loader('ObjectBackgrounds', files),
            evaluator=dict(type='BackgroundSensitivity'),
        ),
    )


def run(net: nn.Module, files: dict) -> dict:
    return measure_diagnostics(net, None, build_diagnostics(diagnostics(files)))


def test_a_net_of_single_patches_is_untouched_by_what_stands_around(files):
    found = run(PatchNet(patch_size=4), files)
    assert found['cr_intra/last/mean'] == pytest.approx(0, abs=1e-6)
    assert found['cr_intra_all/last/mean'] == pytest.approx(0, abs=1e-6)
    assert found['bg_self/last/raw'] == pytest.approx(1, abs=1e-6)
    assert found['bg_self/last/centred'] == pytest.approx(1, abs=1e-6)
    assert (found['cr_intra/last/parts'], found['bg_self/last/objects']) == (10, 10)


def test_mixing_moves_all_of_them_the_wrong_way_the_more_the_stronger(files):
    numbers = [run(MixNet(alpha, patch_size=4), files) for alpha in ALPHAS]
    for name in ('cr_intra/last/mean', 'cr_intra_all/last/mean'):
        assert rises([one[name] for one in numbers]), name
    for name in ('bg_self/last/raw', 'bg_self/last/centred'):
        assert rises([-one[name] for one in numbers]), name
    assert all(one['cr_intra_all/last/mean'] > one['cr_intra/last/mean'] for one in numbers[1:])


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y))


def maps(net: nn.Module, sample: dict) -> np.ndarray:
    mean = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
    std = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
    return net((sample['inputs'].float() - mean) / std)[0].detach().double().numpy()


def test_intra_numbers_equal_a_loop(files):
    net = MixNet(1.0, patch_size=4)
    diagnostic = build_diagnostic(diagnostics(files)['intra'])
    found = measure(net, None, diagnostic.loader, diagnostic.metrics)
    expected: list[list[float]] = [[], []]
    for sample in DATASETS.build(loader('ObjectParts', files)['dataset']):
        part = (
            sample['data_samples'].diagnostic_weights[0, 0].numpy()[2::4, 2::4]
        )  # a cell's centre
        z = [fmap[:, part].mean(axis=1) for fmap in maps(net, sample)]
        expected[0].append(1 - cosine(z[0], z[1]))
        expected[1].append(1 - cosine(z[2], z[3]))
    for metric, values, prefix in zip(
        diagnostic.metrics, expected, ('cr_intra', 'cr_intra_all'), strict=True
    ):
        np.testing.assert_allclose(metric.values['last'], values, rtol=1e-4, atol=1e-6)
        assert found[f'{prefix}/last/mean'] == pytest.approx(np.mean(values), rel=1e-4)
        assert found[f'{prefix}/last/median'] == pytest.approx(np.median(values), rel=1e-4)
        error = np.std(values, ddof=1) / 10**0.5
        assert found[f'{prefix}/last/se'] == pytest.approx(error, rel=1e-4)
        counts, edges = metric.histograms['last']
        assert counts.sum() == 10
        assert (edges[0], edges[-1], len(counts)) == (0, 2, 80)


def test_self_cosines_equal_a_loop(files):
    net = MixNet(1.0, patch_size=4)
    diagnostic = build_diagnostic(diagnostics(files)['background'])
    found = measure(net, None, diagnostic.loader, diagnostic.metrics)
    pairs = []
    for sample in DATASETS.build(loader('ObjectBackgrounds', files)['dataset']):
        x1, y1, x2, y2 = (sample['data_samples'].diagnostic_boxes[0, 0] / 4).int().tolist()
        pairs.append([one[:, y1:y2, x1:x2].mean(axis=(1, 2)) for one in maps(net, sample)])
    centre = np.mean([own for own, _ in pairs], axis=0)
    raw = [cosine(own, other) for own, other in pairs]
    centred = [cosine(own - centre, other - centre) for own, other in pairs]
    np.testing.assert_allclose(
        diagnostic.metrics[0].values['last'], np.stack([raw, centred], 1), rtol=1e-4
    )
    assert found['bg_self/last/raw'] == pytest.approx(np.mean(raw), rel=1e-4)
    assert found['bg_self/last/centred_median'] == pytest.approx(np.median(centred), rel=1e-4)
    error = np.std(centred, ddof=1) / 10**0.5
    assert found['bg_self/last/centred_se'] == pytest.approx(error, rel=1e-3)


def test_values_are_written_where_asked(files, tmp_path: Path):
    config = diagnostics(files)['intra']
    config['evaluator'] = dict(type='IntraObjectCoupling', save=str(tmp_path / 'new' / 'cr.npz'))
    diagnostic = build_diagnostic(config)
    measure(PatchNet(patch_size=4), None, diagnostic.loader, diagnostic.metrics)
    with np.load(tmp_path / 'new' / 'cr.npz') as saved:
        np.testing.assert_array_equal(saved['last'], diagnostic.metrics[0].values['last'])


def test_unusable_samples_and_arguments_are_named():
    with pytest.raises(ValueError, match="rest='background'"):
        IntraObjectCoupling(rest='background')
    features = dict(last=torch.rand(2, 1, 4))
    with pytest.raises(ValueError, match="add 'object' to rests of ObjectParts"):
        IntraObjectCoupling().process(None, [dict(diagnostic_features=features, rests=('all',))])
    with pytest.raises(ValueError, match='reads samples of ObjectParts'):
        IntraObjectCoupling().process(None, [dict(diagnostic_features=features)])
    with pytest.raises(ValueError, match='reads samples of ObjectBackgrounds'):
        BackgroundSensitivity().process(None, [dict(diagnostic_features=features)])
    metric = IntraObjectCoupling()
    with pytest.raises(ValueError, match='got no samples'):
        metric.compute_metrics([])
