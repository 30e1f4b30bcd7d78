"""In-context segmentation: values of the public code, the memory's rule, both readings."""

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

from mmdssl.evaluation.in_context import in_context_segmentation, label_vectors, predict_maps
from mmdssl.evaluation.in_context_segmentation import InContextSegmentation
from mmdssl.evaluation.knn import knn_search
from mmdssl.evaluation.map_scores import class_counts, ious, score_maps
from mmdssl.evaluation.patch_memory import PatchMemory, memory_draws, patches_to_keep, remember
from mmdssl.evaluation.segmentation import match_clusters
from mmdssl.registry import METRICS
from tests.golden import Golden, assert_close


class WithDraws(InContextSegmentation):
    """The metric with the memory's draws given."""

    given: np.ndarray

    def draws(self, position: int, patches: int) -> np.ndarray:
        return self.given[position]


def samples(tag: str, features: np.ndarray, maps: np.ndarray) -> list[dict]:
    """As FeatureExtractor and PackSemantic give them; features are (n, h, w, C)."""
    return [
        dict(
            tag=tag,
            patch_features=torch.from_numpy(one).permute(2, 0, 1),
            gt_seg_map=torch.from_numpy(map_),
        )
        for one, map_ in zip(features, maps, strict=True)
    ]


def evaluate(metric, bank, queries, classes: int, *, tags=('bank', 'query')) -> dict[str, float]:
    """Features and maps of both sides through a metric."""
    names = [str(n) for n in range(classes)]
    metric.dataset_meta = dict(classes=names, sizes={tags[0]: len(bank[0])})
    items = samples(tags[0], *bank) + samples(tags[1], *queries)
    for start in range(0, len(items), 2):
        metric.process(None, items[start : start + 2])
    return metric.evaluate(len(items))


@pytest.fixture
def golden(shared) -> Golden:
    return Golden.load(shared('golden3/hummingbird.npz'))


def sides(golden: Golden):
    """((features (n, h, w, C), maps) of the bank, those of the queries)."""
    grid = golden.number('cfg_grid')
    return tuple(
        (
            golden[f'{side}_features'].unflatten(1, (grid, grid)).numpy(),
            golden[f'{side}_masks'].numpy(),
        )
        for side in ('train', 'val')
    )


@pytest.mark.golden
@pytest.mark.parametrize('part', ['full', 'bounded'])
def test_memory_vectors_and_maps_equal_the_public_code(golden, part):
    bank, queries = sides(golden)
    classes, k = golden.number('cfg_classes'), golden.number('cfg_k')
    size = golden.number('cfg_memory_size') if part == 'bounded' else None
    keep = golden.number('bounded/samples_per_image') if size else None
    draws = golden['bounded/uniform_draws'].numpy()
    kept = [
        remember(one, map_, num_classes=classes, keep=keep, draws=own)
        for one, map_, own in zip(*bank, draws, strict=True)
    ]
    memory = PatchMemory.of(kept, pixels=golden.number('cfg_patch') ** 2, size=size)
    want = golden.sub(f'{part}/')
    assert_close(torch.cat(list(memory.features)), want['memory_features'])
    shares = torch.from_numpy(memory.counts / memory.pixels).float()
    assert_close(shares, want['memory_labels'])
    flat = torch.from_numpy(queries[0]).flatten(0, 2)
    settings = dict(k=k, temperature=golden.number('cfg_beta'))
    unit = torch.nn.functional.normalize(flat, dim=1)
    similarities, index = knn_search(unit, memory.features, k, device='cpu')
    assert torch.equal(index, want['neighbours'].flatten(0, 1))
    assert_close(similarities, want['similarities_f64'].flatten(0, 1), 1e-6)
    found = label_vectors(flat, memory, **settings)
    assert_close(found, want['label_hat'].flatten(0, 1))
    assert_close(found, want['label_hat_f64'].flatten(0, 1))  # ours are float32
    sizes = [map_.shape for map_ in queries[1]]
    maps = np.stack(list(predict_maps(queries[0], sizes, memory, **settings)))
    clear = ~want['ambiguous_pixels'].numpy()
    np.testing.assert_array_equal(maps[clear], want['pred_map'].numpy()[clear])


@pytest.mark.golden
@pytest.mark.parametrize('part', ['full', 'bounded'])
def test_the_metric_reports_the_public_scores(golden, part):
    bank, queries = sides(golden)
    metric = WithDraws(
        memory_size=golden.number('cfg_memory_size') if part == 'bounded' else None,
        k=golden.number('cfg_k'),
        temperature=golden.number('cfg_beta'),
        keep_maps=len(queries[0]),
        device='cpu',
    )
    metric.given = golden['bounded/uniform_draws'].numpy()
    scores = evaluate(metric, bank, queries, golden.number('cfg_classes'))
    want = golden.sub(f'{part}/')
    for ours, theirs in (('miou', 'miou_identity'), ('miou_hungarian', 'miou_hungarian')):
        assert scores[f'in_context/{ours}'] == pytest.approx(100 * want.number(theirs), rel=1e-6)
    np.testing.assert_array_equal(metric.confusion, want['confusion'].numpy())
    hits, true, given = class_counts(metric.confusion)
    np.testing.assert_array_equal(hits, want['tp'].numpy())
    np.testing.assert_array_equal(given - hits, want['fp'].numpy())
    np.testing.assert_array_equal(true - hits, want['fn'].numpy())
    clear = ~want['ambiguous_pixels'].numpy()
    np.testing.assert_array_equal(np.stack(metric.maps)[clear], want['pred_map'].numpy()[clear])
    assert scores['in_context/num_memory'] == len(want['memory_features'])


@pytest.mark.golden
def test_both_readings_of_a_confusion_equal_the_public_code(golden):
    table = golden['metric_confusion'].numpy()
    identity = np.nan_to_num(ious(class_counts(table))).mean()
    assert identity == pytest.approx(golden.number('metric_miou_identity'), rel=1e-6)
    hungarian = match_clusters(table, match='hungarian').miou
    assert hungarian == pytest.approx(golden.number('metric_miou_hungarian'), rel=1e-6)


def world(images: int, *, seed: int = 0, grid: int = 3, patch: int = 2, classes: int = 4):
    """Features that hold their patch's class, with noise, and their maps."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, classes, (images, grid, grid))
    features = np.eye(classes, 6)[kinds] + 0.1 * rng.standard_normal((images, grid, grid, 6))
    maps = kinds.repeat(patch, axis=1).repeat(patch, axis=2).astype(np.uint8)
    return features.astype(np.float32), maps


def test_features_that_hold_the_class_are_read_off_and_the_function_is_the_metric():
    bank, queries = world(9), world(5, seed=1)
    settings = dict(k=3, memory_size=40, bootstrap=50, device='cpu')
    metric = METRICS.build(dict(type='InContextSegmentation', **settings))
    scores = evaluate(metric, bank, queries, 4)
    assert scores['in_context/miou'] > 55  # cells are blurred into each other by the resizing
    assert scores['in_context/num_memory'] == 9 * (40 // 9)
    assert scores['in_context/miou_low'] <= scores['in_context/miou'] <= 100
    found = in_context_segmentation(*bank, *queries, num_classes=4, **settings)
    assert {f'in_context/{name}': value for name, value in found.items()} == scores


def test_the_memory_favours_rare_classes_and_is_the_same_for_any_number_of_processes(monkeypatch):
    counts = np.zeros((100, 2), np.int64)
    counts[:, 0], counts[::20, 1] = 4, 1
    counts[::20, 0] = 0  # five patches of a class of their own
    kept = [patches_to_keep(counts, 10, memory_draws(0, image, 100)) for image in range(50)]
    rare = np.isin(kept, range(0, 100, 20)).sum(axis=1)
    assert rare.mean() > 4  # by chance 0.5
    whole = patches_to_keep(counts, 200, memory_draws(0, 0, 100))
    assert whole.tolist() == list(range(100))
    # Process 1 of 2 has the images 1, 3, ... of the data.
    features, maps = world(6, grid=5)
    settings = dict(type='InContextSegmentation', memory_size=60)
    alone = METRICS.build(settings)
    alone.dataset_meta = dict(classes=list('abcd'), sizes=dict(bank=6))
    alone.process(None, samples('bank', features, maps))
    monkeypatch.setattr('mmengine.dist.get_world_size', lambda: 2)
    monkeypatch.setattr('mmengine.dist.get_rank', lambda: 1)
    half = METRICS.build(settings)
    half.dataset_meta = alone.dataset_meta
    half.process(None, samples('bank', features[1::2], maps[1::2]))
    for one, two in zip(alone.results[1::2], half.results, strict=True):
        assert torch.equal(one[1], two[1])
        assert len(two[1]) == 10


def test_images_are_searched_in_groups_without_a_change(monkeypatch):
    """One that is larger than a group too; sizes may differ."""
    bank, (features, _) = world(9), world(5, seed=1)
    large, _ = world(1, seed=2, grid=7)
    memory = PatchMemory.of(
        [remember(*one, num_classes=4) for one in zip(*bank, strict=True)], pixels=4
    )
    asked, sizes = [*features[:3], large[0], *features[3:]], [(6, 6)] * 3 + [(20, 9)] + [(6, 6)] * 2
    whole = list(predict_maps(asked, sizes, memory, k=3))
    monkeypatch.setattr('mmdssl.evaluation.in_context._SEARCHED', 20)
    monkeypatch.setattr('mmdssl.evaluation.in_context._VOTING', 7)
    for one, two, size in zip(whole, predict_maps(asked, sizes, memory, k=3), sizes, strict=True):
        assert one.shape == size
        np.testing.assert_array_equal(one, two)


def test_void_is_background_or_left_out():
    features = np.ones((1, 2, 3), np.float32)
    labels = np.array([[255, 255, 1, 255], [255, 255, 1, 1]], np.uint8)
    rows, counts = remember(features, labels, num_classes=3)
    assert counts.tolist() == [[4, 0, 0], [1, 3, 0]]
    rows, counts = remember(features, labels, num_classes=3, void='leave_out')
    assert counts.tolist() == [[0, 3, 0]]
    assert len(rows) == 1


def test_pixel_counts_of_large_patches_fit():
    _, counts = remember(np.ones((1, 1, 2), np.float32), np.ones((16, 16), np.uint8), num_classes=2)
    assert counts.tolist() == [[0, 256]]


def test_half_precision_gives_nearly_the_same_and_half_the_memory():
    bank, queries = world(9), world(5, seed=1)
    settings = dict(num_classes=4, k=3, device='cpu')
    whole = in_context_segmentation(*bank, *queries, **settings)
    half = in_context_segmentation(*bank, *queries, storage='float16', **settings)
    assert half['accuracy'] == pytest.approx(whole['accuracy'], abs=1)
    rows, _ = remember(bank[0][0], bank[1][0], num_classes=4, storage='float16')
    assert rows.dtype == torch.float16


def test_scores_equal_scikit_learn_and_ignored_classes_are_not_scored():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, (4, 6, 6)).astype(np.uint8)
    given = rng.integers(0, 5, (4, 6, 6)).astype(np.uint8)
    truth[truth == 3], given[given == 3] = 255, 0  # a class that occurs nowhere
    scores, table = score_maps(given, truth, num_classes=5, ignored=(0,))
    scored = ~np.isin(truth, (0, 255))
    want = jaccard_score(
        truth[scored], given[scored], labels=range(5), average=None, zero_division=0
    )
    assert scores['miou'] == pytest.approx(100 * want.mean())
    assert want[3] == 0
    assert scores['accuracy'] == pytest.approx(100 * (truth == given)[scored].mean())
    assert table.sum() == scored.sum()


def test_the_interval_is_that_of_images_drawn_with_replacement():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (30, 4, 4)).astype(np.uint8)
    given = np.where(rng.random(truth.shape) < 0.7, truth, 0).astype(np.uint8)
    scores, _ = score_maps(given, truth, num_classes=3, bootstrap=25, seed=4)
    drawn = np.random.default_rng(4).multinomial(30, np.full(30, 1 / 30), size=25)
    means = [
        score_maps(given.repeat(times, axis=0), truth.repeat(times, axis=0), num_classes=3)[0][
            'miou'
        ]
        for times in drawn
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    assert low < high
    assert (scores['miou_low'], scores['miou_high']) == pytest.approx((low, high))


def test_unusable_data_are_named():
    bank, queries = world(3), world(2, seed=1)
    wrong = (queries[0], np.pad(queries[1], ((0, 0), (0, 1), (0, 0))))
    beyond = (queries[0], np.full_like(queries[1], 4))
    settings = dict(num_classes=4, k=3)
    for sides, message in (
        ((bank, wrong), r'label map of image 0 of the queries has \(7, 6\) pixels, which do not'),
        ((bank, beyond), 'has label 4, but there are 4 classes, labels 0 to 3 and 255'),
        (((bank[0][:0], bank[1][:0]), queries), 'the bank has 0 feature maps'),
        ((bank, (queries[0][..., :5], queries[1])), 'same backbone'),
    ):
        with pytest.raises(ValueError, match=message):
            in_context_segmentation(*sides[0], *sides[1], **settings)
    with pytest.raises(ValueError, match='k=30 neighbours of a memory of 27 patches: lower k'):
        in_context_segmentation(*bank, *queries, num_classes=4)
    void = np.full_like(bank[1], 255)
    with pytest.raises(ValueError, match='the memory is empty'):
        in_context_segmentation(bank[0], void, *queries, void='leave_out', **settings)
    with pytest.raises(ValueError, match='memory_size=0 must be at least 1'):
        in_context_segmentation(*bank, *queries, memory_size=0, **settings)
    metric = METRICS.build(dict(type='InContextSegmentation', k=3))
    with pytest.raises(ValueError, match='map of image 3 of the data has label 4, but there are 4'):
        evaluate(metric, bank, beyond, 4)
    metric = METRICS.build(dict(type='InContextSegmentation', k=3))
    with pytest.raises(ValueError, match="no images tagged 'query' for in_context"):
        evaluate(metric, bank, queries, 4, tags=('bank', 'other'))
    metric.dataset_meta = dict(classes='abcd')
    with pytest.raises(ValueError, match="give its metainfo 'sizes'"):
        metric.process(None, samples('bank', *bank))
    with pytest.raises(ValueError, match="this has no 'tag'"):
        metric.process(None, [dict(gt_seg_map=torch.zeros(2, 2))])
    for settings, message in (
        (dict(bank='a', query='a'), "bank and query are both 'a'"),
        (dict(void='none'), "void='none' must be one of 'background', 'leave_out'"),
        (dict(storage='int8'), "storage='int8' must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            METRICS.build(dict(type='InContextSegmentation', **settings))
