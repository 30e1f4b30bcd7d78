"""Inter-object coupling: nets whose answer is known, and the same numbers by plain loops."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from torch import nn
from torchvision.ops import roi_align

from mmdssl.engine.launch import leave_process_group
from mmdssl.evaluation.coupling import InterObjectCoupling
from mmdssl.evaluation.measure import build_diagnostic, measure
from mmdssl.registry import DATASETS, METRICS
from tests.datasets.diagnostics.diagnostic_files import write_objects
from tests.evaluation.toy_backbones import MixNet, PatchNet, rises

RATIOS = (0.0, 0.3, 0.6, 0.9)
FORMS = (dict(form='angle'), dict(form='cosine', prefix='cr_inter_cosine'))


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_objects(tmp_path_factory.mktemp('pairs'), images=24, classes=4)


def dataset(files: dict, **settings) -> dict:
    settings = dict(num=10, size=112, patch_size=4, ratios=RATIOS) | settings
    return dict(type='ObjectPairs', **files, **settings)


def run(net: nn.Module, files: dict, *, metrics=FORMS, **settings) -> tuple[dict, list]:
    diagnostic = build_diagnostic(
        dict(
            dataloader=dict(
                batch_size=4,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                collate_fn=dict(type='default_collate'),
                dataset=dataset(files, **settings),
            ),
            evaluator=[dict(type='InterObjectCoupling', **one) for one in metrics],
        )
    )
    return measure(net, None, diagnostic.loader, diagnostic.metrics), diagnostic.metrics


@pytest.mark.parametrize('remove', ['patches', 'shrink'])
def test_a_net_of_single_patches_does_not_leak_where_a_is_equally_reduced(files, remove):
    found, _ = run(PatchNet(patch_size=4), files, mask_a1=True, remove=remove)
    for prefix in ('cr_inter', 'cr_inter_cosine'):
        for row in ('last', 'last@0', 'last@0.9'):
            assert found[f'{prefix}/{row}/mean'] == pytest.approx(1, abs=1e-4)
            assert found[f'{prefix}/{row}/full_angle'] == pytest.approx(1, abs=1e-4)
            assert found[f'{prefix}/{row}/clamped'] == 0
    assert found['cr_inter/last/pairs'] == 10


def test_leakage_raises_every_form_the_more_the_stronger_the_mix(files):
    numbers = [
        run(MixNet(alpha, patch_size=4), files, mask_a1=True)[0] for alpha in (0, 0.2, 0.5, 1, 2)
    ]
    for name in ('cr_inter/last/mean', 'cr_inter/last/median', 'cr_inter_cosine/last/mean'):
        assert rises([one[name] for one in numbers]), name
    for name in ('full_angle', 'full_angle_pooled'):
        assert rises([one[f'cr_inter/last/{name}'] for one in numbers]), name


def test_leakage_rises_with_the_missing_share_of_a(files):
    found, _ = run(MixNet(1.0, patch_size=4), files, mask_a1=True)
    assert rises([found[f'cr_inter/last@{ratio:g}/mean'] for ratio in RATIOS])


def by_hand(net: nn.Module, data, form: str) -> np.ndarray:
    """(pairs, ratios, 4): sides of CR without eps and of the full-angle ratio, in a loop."""
    mean = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
    std = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)

    def feature(sample, view, region):
        (fmap,) = net(((sample['inputs'][view].float() - mean) / std)[None])
        box = sample['data_samples'].diagnostic_boxes[view, region][None]
        return roi_align(fmap, [box], 7, 1 / 4, aligned=True).mean((2, 3))[0].detach().numpy()

    def theta(x, y):
        return math.acos(float(np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y)))

    samples = list(data)
    clean = [feature(s, 1, 0) for s in samples] + [feature(s, 0, 1) for s in samples]
    centre = np.mean(clean, axis=0)
    rows = []
    for sample in samples:
        for index in range(len(RATIOS)):
            alone, beside = feature(sample, 1, 0), feature(sample, 2 + index, 0)
            other = feature(sample, 0, 1) if form == 'angle' else feature(sample, 2 + index, 1)
            if form == 'angle':
                above = math.pi / 2 - theta(beside, other)
                below = math.pi / 2 - theta(alone, other)
            else:
                above, below = math.cos(theta(beside, other)), math.cos(theta(alone, other))
            full = [math.pi - theta(x - centre, other - centre) for x in (beside, alone)]
            rows.append((above, below, *full))
    return np.array(rows).reshape(len(samples), len(RATIOS), 4)


@pytest.mark.parametrize('form', ['angle', 'cosine'])
def test_all_numbers_equal_a_loop(files, form):
    net = MixNet(0.5, patch_size=4)
    sides = by_hand(net, DATASETS.build(dataset(files)), form)
    eps = float(np.quantile(sides[..., 1], 0.3))  # so that some denominators clamp
    above, below = np.maximum(sides[..., 0], eps), np.maximum(sides[..., 1], eps)
    full, clamped = sides[..., 2:], sides[..., 1] < eps
    expected = np.stack(
        [above / below, full[..., 0] / full[..., 1], clamped, full[..., 0], full[..., 1]], axis=-1
    )
    found, (metric,) = run(net, files, metrics=[dict(form=form, eps=eps)])
    np.testing.assert_allclose(metric.values['last'], expected, rtol=1e-3, atol=1e-4)
    assert 0 < expected[..., 2].mean() < 1
    whole = expected[..., 0].mean(axis=1)
    for name, value in dict(
        mean=expected[..., 0].mean(),
        median=np.median(expected[..., 0]),
        se=whole.std(ddof=1) / 10**0.5,
        clamped=expected[..., 2].mean(),
        full_angle=expected[..., 1].mean(),
        full_angle_pooled=full[..., 0].mean() / full[..., 1].mean(),
    ).items():
        assert found[f'cr_inter/last/{name}'] == pytest.approx(value, rel=1e-3), name
    for index, ratio in enumerate(RATIOS):
        one = expected[:, index]
        assert found[f'cr_inter/last@{ratio:g}/mean'] == pytest.approx(one[:, 0].mean(), rel=1e-3)
        assert found[f'cr_inter/last@{ratio:g}/clamped'] == pytest.approx(one[:, 2].mean())


def test_the_source_of_b_can_be_chosen(files):
    forms = [
        dict(form='angle', b_from=b_from, prefix=b_from) for b_from in ('auto', 'alone', 'beside')
    ]
    found, _ = run(MixNet(1.0, patch_size=4), files, metrics=forms)
    assert found['auto/last/mean'] == found['alone/last/mean'] != found['beside/last/mean']


def test_layers_are_reported_side_by_side_and_values_are_kept(files, tmp_path: Path):
    diagnostic = build_diagnostic(
        dict(
            dataloader=dict(
                batch_size=5,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dataset(files),
            ),
            evaluator=dict(
                type='InterObjectCoupling', per_ratio=False, save=str(tmp_path / 'cr.npz')
            ),
        ),
        layers=['projection', 'last'],
    )
    net = PatchNet(patch_size=4)
    found = measure(net, None, diagnostic.loader, diagnostic.metrics, layers=diagnostic.layers)
    assert {name.split('/')[1] for name in found} == {'projection', 'last'}
    with np.load(tmp_path / 'cr.npz') as saved:
        np.testing.assert_array_equal(saved['last'], diagnostic.metrics[0].values['last'])
        assert saved['projection'].shape == (10, 4, 5)


def samples(count: int) -> list[dict]:
    generator = torch.Generator().manual_seed(0)
    return [
        dict(
            diagnostic_features=dict(last=torch.rand(4, 2, 6, generator=generator)),
            ratios=(0.0, 0.5),
            mask_a1=False,
        )
        for _ in range(count)
    ]


def distributed(rank: int, rendezvous: str, folder: str) -> None:
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{rendezvous}', rank=rank, world_size=2
    )
    data = samples(7)
    metric = InterObjectCoupling()
    metric.process(None, [*data, data[0]][rank::2])  # padded as mmengine's sampler does
    torch.save(metric.evaluate(len(data)), Path(folder) / f'{rank}.pth')
    leave_process_group()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path):
    mp.spawn(distributed, args=(str(tmp_path / 'rendezvous'), str(tmp_path)), nprocs=2)
    metric = InterObjectCoupling()
    metric.process(None, samples(7))
    expected = metric.evaluate(7)
    for rank in (0, 1):
        assert torch.load(tmp_path / f'{rank}.pth') == expected


def test_unusable_samples_and_arguments_are_named():
    metric = METRICS.build(dict(type='InterObjectCoupling'))
    with pytest.raises(ValueError, match=r"reads samples of ObjectPairs .* no 'ratios'"):
        metric.process(None, [dict(diagnostic_features=dict(last=torch.rand(4, 2, 6)))])
    with pytest.raises(ValueError, match='samples have the ratios'):
        metric.process(None, [samples(1)[0], {**samples(1)[0], 'ratios': (0.1, 0.5)}])
    with pytest.raises(ValueError, match="form='p1'"):
        InterObjectCoupling(form='p1')
    with pytest.raises(ValueError, match='eps=0'):
        InterObjectCoupling(eps=0)
    with pytest.raises(ValueError, match="b_from='b'"):
        InterObjectCoupling(b_from='b')
