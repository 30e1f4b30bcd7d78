"""Patch k-NN segmentation: values of the public code, votes against scikit-learn's idea of them."""

import numpy as np
import pytest
import torch
from scipy.stats import mode
from sklearn.metrics import jaccard_score
from sklearn.preprocessing import StandardScaler

from mmdssl.evaluation.knn import knn_search
from mmdssl.evaluation.labelled_patches import LabelledPatches
from mmdssl.evaluation.map_scores import score_votes
from mmdssl.evaluation.patch_knn import (
    channel_statistics,
    evaluate_parts,
    patch_knn_segmentation,
    split_tuning,
    vote_maps,
)
from mmdssl.registry import METRICS
from tests.evaluation.test_in_context import samples, world
from tests.golden import Golden, assert_close


@pytest.fixture
def golden(shared) -> Golden:
    return Golden.load(shared('golden3/knn_segmentation.npz'))


def parts_of(golden: Golden) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features and maps of train, tuning and test."""
    ends = golden['cfg_images_train_val_test'].cumsum(0)[:-1].tolist()
    return list(
        zip(
            np.split(golden['features'].numpy(), ends),
            np.split(golden['masks'].numpy(), ends),
            strict=True,
        )
    )


def classes_of(golden: Golden) -> tuple[int, tuple[int, ...]]:
    """Number of classes, and those that are ignored beside 255."""
    labels = golden['masks'][golden['masks'] != 255]
    ignored = tuple(label for label in golden['cfg_ignore_labels'].tolist() if label != 255)
    return int(labels.max()) + 1, ignored


@pytest.mark.golden
def test_scaler_labels_and_memory_equal_the_public_code(golden):
    train, *others = (LabelledPatches.of(*part) for part in parts_of(golden))
    mean, scale = channel_statistics(train.features)
    assert_close(torch.from_numpy(mean), golden['scaler_mean'], 1e-6)
    assert_close(torch.from_numpy(scale), golden['scaler_scale'], 1e-6)
    rows = np.concatenate([block for part in (train, *others) for block in part.labels])
    np.testing.assert_array_equal(rows, golden['labels'].numpy())
    train.drop(golden['cfg_ignore_labels'].tolist())
    assert (
        sum(map(len, train.labels))
        == sum(map(len, train.features))
        == golden.number('kept_train_patches')
    )


@pytest.mark.golden
def test_every_setting_of_the_metric_equals_the_public_code(golden):
    """Each with its own tuning score and its own test score."""
    classes, ignored = classes_of(golden)
    tags = ('bank', 'tune', 'query')
    for name in golden.strings('grid_order'):
        distance, k = name.lower().rsplit('_', 1)
        metric = METRICS.build(
            dict(
                type='PatchKNNSegmentation',
                neighbours=(int(k),),
                distances=(distance,),
                tune='tune',
                ignored=ignored,
                device='cpu',
            )
        )
        metric.dataset_meta = dict(classes=[str(n) for n in range(classes)])
        for tag, part in zip(tags, parts_of(golden), strict=True):
            metric.process(None, samples(tag, *part))
        scores = metric.evaluate(len(metric.results))
        want = golden.sub(f'{name}/')
        for ours, theirs in (
            ('miou', 'test_miou'),
            ('accuracy', 'test_acc'),
            (f'tune_{distance}_{k}', 'val_miou'),
        ):
            found = scores[f'patch_knn/{ours}']
            assert found == pytest.approx(100 * want.number(theirs), rel=1e-5), (name, ours)


@pytest.mark.golden
def test_predictions_and_the_choice_equal_the_public_code(golden):
    classes, ignored = classes_of(golden)
    settings = dict(num_classes=classes, ignored=ignored, device='cpu')

    def fresh() -> list[LabelledPatches]:
        return [LabelledPatches.of(*part) for part in parts_of(golden)]

    memory, tune, _ = fresh()
    mean, scale = channel_statistics(memory.features)
    memory.standardise(mean, scale)
    memory.drop((*ignored, 255))
    tune.standardise(mean, scale)
    for name in golden.strings('grid_order'):
        distance, k = name.lower().rsplit('_', 1)
        want = golden.sub(f'{name}/')
        one = dict(neighbours=(int(k),), distances=(distance,))
        _, given = evaluate_parts(*fresh(), **settings, **one)
        np.testing.assert_array_equal(np.concatenate(given), want['test_pred'].numpy())
        given = vote_maps(tune, memory, neighbours=(int(k),), distance=distance)[int(k)]
        np.testing.assert_array_equal(np.concatenate(given), want['val_pred'].numpy())
        accuracy = score_votes(given, tune.labels, num_classes=classes, ignored=ignored)['accuracy']
        assert accuracy == pytest.approx(100 * want.number('val_acc'), rel=1e-5)
    asked = torch.cat(tune.features)
    for key in (name for name in golden if name.endswith('/val_neighbours')):
        distance, k = key.split('/')[0].lower().rsplit('_', 1)
        _, index = knn_search(asked, memory.features, int(k), distance=distance, device='cpu')
        assert torch.equal(index, golden[key])
    scores, _ = evaluate_parts(*fresh(), neighbours=golden['cfg_neighbours'].tolist(), **settings)
    distance, k = golden.text('best').lower().rsplit('_', 1)
    assert (scores['k'], scores['l2']) == (int(k), int(distance == 'l2'))
    want = golden.sub(f'{golden.text("best")}/')
    assert scores['miou'] == pytest.approx(100 * want.number('test_miou'), rel=1e-5)
    order = golden.strings('grid_order')
    found = torch.tensor([scores[f'tune_{name.lower()}'] / 100 for name in order])
    assert_close(found.double(), golden['grid_val_miou'])


def test_votes_are_the_commonest_labels_of_the_nearest_and_of_equals_the_lowest(monkeypatch):
    rng = np.random.default_rng(0)
    features = [torch.from_numpy(rng.standard_normal((n, 5), dtype=np.float32)) for n in (30, 25)]
    labels = [rng.choice([0, 2, 7, 255], (n, 6)).astype(np.uint8) for n in (30, 25)]
    asking = LabelledPatches(
        [torch.from_numpy(rng.standard_normal((n, 5), dtype=np.float32)) for n in (4, 9)],
        [np.zeros((n, 6), np.uint8) for n in (4, 9)],
    )
    memory = LabelledPatches(features, labels)
    settings = dict(neighbours=(4, 1, 9), distance='l2', device='cpu')
    found = vote_maps(asking, memory, **settings)
    monkeypatch.setattr('mmdssl.evaluation.patch_knn._SEARCHED', 6)
    monkeypatch.setattr('mmdssl.evaluation.patch_knn._VOTING', 50)  # two patches
    for k, blocks in vote_maps(asking, memory, **settings).items():
        np.testing.assert_array_equal(np.concatenate(blocks), np.concatenate(found[k]))
    assert [len(block) for block in found[4]] == [4, 9]
    points, table = torch.cat(features).double(), np.concatenate(labels)
    apart = torch.cdist(torch.cat(asking.features).double(), points)
    order = apart.argsort(dim=1).numpy()
    ties = 0
    for k in (1, 4, 9):
        near = table[order[:, :k]]  # (13, k, 6)
        np.testing.assert_array_equal(np.concatenate(found[k]), mode(near, axis=1).mode)
        counts = np.sort([(near == label).sum(axis=1) for label in (0, 2, 7, 255)], axis=0)
        ties += (counts[-1] == counts[-2]).sum()
    assert ties > 5


def test_scores_equal_scikit_learn_by_both_readings():
    rng = np.random.default_rng(1)
    labels, given = (rng.choice([0, 1, 2, 4, 255], (50, 4)).astype(np.uint8) for _ in range(2))
    scored = ~np.isin(labels, (0, 255))
    want = jaccard_score(labels[scored], given[scored], average='macro', zero_division=0)
    found = score_votes(
        [given[:20], given[20:]], [labels[:20], labels[20:]], num_classes=6, ignored=(0,)
    )
    assert found['miou'] == pytest.approx(100 * want)
    classes = (1, 2, 4)
    want = jaccard_score(labels[scored], given[scored], labels=classes, average='macro')
    assert found['miou_without_ignored'] == pytest.approx(100 * want)
    assert found['miou'] < found['miou_without_ignored']
    assert found['accuracy'] == pytest.approx(100 * (labels == given)[scored].mean())


def test_channels_are_standardised_as_scikit_learn_does():
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((40, 3)) * [1, 100, 0] + [5, -2000, 3]
    blocks = [torch.from_numpy(part).float() for part in np.split(rows, [11, 30])]
    scaler = StandardScaler().fit(torch.cat(blocks).double().numpy())
    mean, scale = channel_statistics(blocks)
    np.testing.assert_allclose(mean, scaler.mean_, rtol=1e-9)
    np.testing.assert_allclose(scale, scaler.scale_, rtol=1e-9)
    want = scaler.transform(torch.cat(blocks).double().numpy())
    patches = LabelledPatches(blocks, [])
    patches.standardise(mean, scale)
    np.testing.assert_allclose(torch.cat(patches.features).numpy(), want, atol=1e-5)


def test_features_that_hold_the_class_are_read_off_and_the_function_is_the_metric():
    bank, queries = world(20), world(5, seed=1)
    settings = dict(neighbours=(1, 3), bootstrap=20, device='cpu')
    metric = METRICS.build(dict(type='PatchKNNSegmentation', **settings))
    metric.dataset_meta = dict(classes=list('abcd'))
    metric.process(None, samples('bank', *bank) + samples('other', *bank))
    metric.process(None, samples('query', *queries))
    scores = metric.evaluate(len(metric.results))
    assert scores['patch_knn/miou'] > 95
    assert scores['patch_knn/num_memory'] == 20 * 9  # the tuning part joins it
    assert {f'patch_knn/tune_{one}_{k}' for one in ('cosine', 'l2') for k in (1, 3)} < set(scores)
    found = patch_knn_segmentation(*bank, *queries, num_classes=4, **settings)
    assert {f'patch_knn/{name}': value for name, value in found.items()} == scores
    single = patch_knn_segmentation(
        *bank, *queries, num_classes=4, neighbours=(3,), distances=('l2',)
    )
    assert not any(name.startswith('tune') for name in single)


def test_the_tuning_part_is_a_share_of_the_images_that_the_seed_names():
    chosen = split_tuning(50, 0.1)
    assert chosen.sum() == 5
    assert (chosen == split_tuning(50, 0.1)).all()
    assert (chosen != split_tuning(50, 0.1, seed=1)).any()
    assert split_tuning(2, 0.9).sum() == 1


def test_unusable_data_are_named():
    bank, queries = world(4), world(2, seed=1)
    for sides, settings, message in (
        ((bank, (queries[0], queries[1][:, :5])), {}, r'has \(5, 6\) pixels, which do not divide'),
        ((bank, (queries[0], queries[1] + 2)), {}, 'has label 5, but there are 4 classes'),
        (((bank[0], bank[1] * 0 + 255), queries), {}, 'the memory is empty'),
        ((bank, queries), dict(neighbours=(1, 30)), 'k=30 neighbours of a memory of 27 patches'),
        ((bank, queries), dict(tune_share=0), 'tune_share=0 of 4 bank images'),
        ((bank, queries), dict(distances=('l1',)), "distances=.*'cosine', 'l2' or both"),
        ((bank, queries), dict(ignored=(4,)), r'ignored=\(4,\) must be classes, 0 to 3'),
        (
            (bank, (queries[0], queries[1] * 0 + 255)),
            dict(neighbours=(1,)),
            'no pixel of the queries',
        ),
        ((bank, world(2, patch=3)), {}, 'the patches differ in size'),
    ):
        with pytest.raises(ValueError, match=message):
            patch_knn_segmentation(*sides[0], *sides[1], num_classes=4, **settings)
    parts = [LabelledPatches.of(*side) for side in (bank, queries)]
    with pytest.raises(ValueError, match='8 settings of k and distance and no tuning part'):
        evaluate_parts(parts[0], None, parts[1], num_classes=4)
    with pytest.raises(ValueError, match="tune='query' is bank or query already"):
        METRICS.build(dict(type='PatchKNNSegmentation', tune='query'))
