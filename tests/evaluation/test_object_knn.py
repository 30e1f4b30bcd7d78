"""The metric: tags, votes and numbers, and its exchange between processes."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from mmengine.evaluator import Evaluator

from mmdssl.engine.launch import leave_process_group
from mmdssl.evaluation.object_knn import ObjectKNN
from mmdssl.registry import METRICS

CLASSES = tuple('abcdefgh')


def samples(count: int, tags: tuple[str, ...], seed: int = 0) -> list[dict]:
    """Images with 0 to 4 objects; features lean towards a direction of their class."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(len(CLASSES), 12))
    result = []
    for i in range(count):
        labels = rng.integers(0, len(CLASSES), rng.integers(0, 5))
        features = directions[labels] + 1.5 * rng.normal(size=(len(labels), 12))
        features /= np.linalg.norm(features, axis=1, keepdims=True) + 1e-12
        result.append(
            dict(
                tag=tags[i % len(tags)],
                object_features=torch.from_numpy(features).float(),
                gt_instances=dict(labels=torch.from_numpy(labels)),
            )
        )
    return result


def by_hand(data: list[dict], bank: str, query: str, k: int) -> tuple[float, float]:
    """Top-1 and top-5 in percent with one loop over queries, weights exp(s / 0.07)."""

    def side(tag: str) -> tuple[np.ndarray, np.ndarray]:
        chosen = [d for d in data if d['tag'] == tag]
        return (
            np.concatenate([d['object_features'].double().numpy() for d in chosen]),
            np.concatenate([d['gt_instances']['labels'].numpy() for d in chosen]),
        )

    (known, labels), (asked, truth) = side(bank), side(query)
    first = five = 0
    for x, y in zip(asked, truth, strict=True):
        s = known @ x
        mass = np.zeros(len(CLASSES))
        for j in np.argsort(-s)[:k]:
            mass[labels[j]] += np.exp(s[j] / 0.07)
        order = [c for c in np.argsort(-mass) if mass[c] > 0][:5]
        first += order[0] == y
        five += y in order
    return 100 * first / len(truth), 100 * five / len(truth)


def run(metric: ObjectKNN, data: list[dict], size: int | None = None) -> dict:
    metric.dataset_meta = dict(classes=CLASSES)
    for start in range(0, len(data), 7):
        metric.process(None, data[start : start + 7])
    return metric.evaluate(size or len(data))


def test_scores_equal_a_loop_over_queries():
    data = samples(150, ('bank', 'query', 'other'))
    found = run(ObjectKNN(k=9, tile=(5, 13)), data)
    top1, top5 = by_hand(data, 'bank', 'query', k=9)
    assert 20 < top1 < top5 < 100
    assert found['oknn/top1'] == pytest.approx(top1)
    assert found['oknn/top5'] == pytest.approx(top5)
    counts = {
        t: sum(len(d['gt_instances']['labels']) for d in data if d['tag'] == t)
        for t in ('bank', 'query')
    }
    assert (found['oknn/num_bank'], found['oknn/num_query']) == (counts['bank'], counts['query'])


def test_metrics_over_different_tags_read_one_set_of_features():
    tags = ('bank', 'query', 'bank_disturbed', 'query_disturbed')
    data = samples(200, tags)
    settings = [
        dict(prefix='oknn'),
        dict(bank='bank_disturbed', query='query_disturbed', prefix='oknn_d'),
        dict(bank='bank', query='query_disturbed', prefix='oknn_clean_bank'),
    ]
    evaluator = Evaluator([METRICS.build(dict(type='ObjectKNN', **s)) for s in settings])
    evaluator.dataset_meta = dict(classes=CLASSES)
    evaluator.process(data)
    found = evaluator.evaluate(len(data))
    for s in settings:
        expected = by_hand(data, s.get('bank', 'bank'), s.get('query', 'query'), k=20)
        assert found[f'{s["prefix"]}/top1'] == pytest.approx(expected[0])
        assert found[f'{s["prefix"]}/top5'] == pytest.approx(expected[1])


def test_the_order_of_the_data_does_not_change_the_score():
    data = samples(120, ('bank', 'query'))
    shuffled = [data[i] for i in np.random.default_rng(0).permutation(len(data))]
    assert run(ObjectKNN(), data) == run(ObjectKNN(), shuffled)


def test_padding_samples_beyond_the_size_are_dropped():
    data = samples(61, ('bank', 'query'))
    padded = run(ObjectKNN(), [*data, *data[:3]], size=len(data))
    assert padded == run(ObjectKNN(), data)


def test_a_side_without_objects_is_named():
    with pytest.raises(ValueError, match=r"no objects in 0 images tagged 'bank_d'.*oknn_d"):
        run(ObjectKNN(bank='bank_d', prefix='oknn_d'), samples(20, ('bank', 'query')))


def test_one_tag_for_both_sides_is_refused():
    with pytest.raises(ValueError, match='its own nearest'):
        ObjectKNN(bank='all', query='all')


def test_labels_beyond_the_classes_are_refused():
    metric = ObjectKNN()
    data = samples(20, ('bank', 'query'))
    metric.dataset_meta = dict(classes=CLASSES[:3])
    metric.process(None, data)
    with pytest.raises(ValueError, match='there are 3 classes'):
        metric.evaluate(len(data))


def test_missing_classes_are_named():
    metric = ObjectKNN()
    data = samples(20, ('bank', 'query'))
    metric.process(None, data)
    with pytest.raises(ValueError, match="'classes'"):
        metric.evaluate(len(data))


def test_confusion_classes_and_images_add_up_to_the_scores():
    data = samples(150, ('bank', 'query', 'other'))
    metric = ObjectKNN(k=9)
    found = run(metric, data)
    queries = [d for d in data if d['tag'] == 'query']
    labels = np.concatenate([d['gt_instances']['labels'].numpy() for d in queries])
    np.testing.assert_array_equal(
        metric.confusion.sum(axis=1), np.bincount(labels, minlength=len(CLASSES))
    )
    assert 100 * np.trace(metric.confusion) / len(labels) == pytest.approx(found['oknn/top1'])
    counts = [len(d['gt_instances']['labels']) for d in queries]
    assert metric.counts.tolist() == [count for count in counts if count]
    assert 100 * metric.hits.sum(axis=0) / len(labels) == pytest.approx(
        [found['oknn/top1'], found['oknn/top5']]
    )
    rows = metric.per_class()
    assert [row['objects'] for row in rows] == sorted(np.bincount(labels))[::-1]
    mean = sum(row['objects'] * row['top1'] for row in rows) / len(labels)
    assert mean == pytest.approx(found['oknn/top1'])
    first = rows[0]
    own = CLASSES.index(first['class'])
    wrong = {CLASSES[c]: metric.confusion[own, c] for c in range(len(CLASSES)) if c != own}
    assert wrong[first['taken_for']] == max(wrong.values())
    assert first['share_taken'] == pytest.approx(100 * max(wrong.values()) / first['objects'])


def test_hits_by_image_are_those_of_each_image_alone():
    data = samples(90, ('bank', 'query'))
    metric = ObjectKNN(k=9)
    run(metric, data)
    bank = [d for d in data if d['tag'] == 'bank']
    queries = [d for d in data if d['tag'] == 'query' and len(d['gt_instances']['labels'])]
    for index in (0, 5, len(queries) - 1):
        top1, top5 = by_hand([*bank, queries[index]], 'bank', 'query', k=9)
        count = metric.counts[index]
        assert (100 * metric.hits[index] / count).tolist() == pytest.approx([top1, top5])


def test_intervals_hold_the_scores_and_are_those_of_the_seed():
    data = samples(150, ('bank', 'query'))
    plain = run(ObjectKNN(k=9), data)
    assert 'oknn/top1_low' not in plain
    found = run(ObjectKNN(k=9, bootstrap=300), data)
    for score in ('top1', 'top5'):
        assert found[f'oknn/{score}'] == plain[f'oknn/{score}']
        low, high = found[f'oknn/{score}_low'], found[f'oknn/{score}_high']
        assert low < plain[f'oknn/{score}'] < high
    assert found == run(ObjectKNN(k=9, bootstrap=300), data)
    assert found != run(ObjectKNN(k=9, bootstrap=300, seed=1), data)
    narrow = run(ObjectKNN(k=9, bootstrap=300, confidence=0.5), data)
    assert narrow['oknn/top1_high'] < found['oknn/top1_high']
    with pytest.raises(ValueError, match='bootstrap=-1'):
        ObjectKNN(bootstrap=-1)


def distributed(rank: int, rendezvous: str, folder: str) -> None:
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{rendezvous}', rank=rank, world_size=2
    )
    data = samples(61, ('bank', 'query', 'other'))
    # mmengine's sampler: padded to a common length, rank r sees r, r + 2, ...
    mine = [*data, data[0]][rank::2]
    found = run(ObjectKNN(), mine, size=len(data))
    torch.save(found, Path(folder) / f'{rank}.pth')
    leave_process_group()


def test_two_processes_equal_one(tmp_path: Path):
    mp.spawn(distributed, args=(str(tmp_path / 'rendezvous'), str(tmp_path)), nprocs=2)
    expected = run(ObjectKNN(), samples(61, ('bank', 'query', 'other')))
    for rank in (0, 1):
        assert torch.load(tmp_path / f'{rank}.pth') == expected
