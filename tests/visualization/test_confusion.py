"""Confusion and scores as pictures: merged classes lose no object, and both draw."""

import numpy as np
import pytest

from mmdssl.visualization.confusion import draw_confusion, merge_rare
from mmdssl.visualization.scores import draw_scores

CLASSES = ('ant', 'bee', 'cat', 'dog', 'eel')
MATRIX = np.array([[3, 1, 0, 0, 0], [0, 9, 1, 0, 0], [2, 0, 4, 0, 0], [0, 0, 1, 0, 0], [0] * 5])


def test_rare_classes_become_one_and_no_object_is_lost():
    merged, names = merge_rare({'a': MATRIX, 'b': 2 * MATRIX}, CLASSES, 2)
    assert names == ['bee', 'cat', '2 other classes']  # nobody is or was taken for an eel
    assert merged['a'].tolist() == [[9, 1, 0], [0, 4, 2], [1, 1, 3]]
    assert merged['b'].sum() == 2 * MATRIX.sum()


def test_few_classes_stay_apart_by_frequency():
    merged, names = merge_rare({'a': MATRIX}, CLASSES, 9)
    assert names == ['bee', 'cat', 'ant', 'dog']
    assert np.trace(merged['a']) == np.trace(MATRIX)


def test_a_matrix_of_other_classes_is_refused():
    with pytest.raises(ValueError, match='5 classes need matrices'):
        merge_rare({'a': MATRIX[:3, :3]}, CLASSES, 9)


def test_pictures_are_written(tmp_path):
    scores = {'Top-1': {'O-KNN': {'a': (50.0, 45.0, 56.0), 'b': (40.0, 35.0, 44.0)}}}
    for path in (
        draw_confusion({'a': MATRIX, 'b': MATRIX}, CLASSES, tmp_path / 'c.png', limit=3),
        draw_scores(scores, tmp_path / 's.png', label='%', intervals='95 %'),
    ):
        assert path.read_bytes().startswith(b'\x89PNG')
    with pytest.raises(ValueError, match='no values'):
        draw_scores({}, tmp_path / 'n.png', label='%', intervals='')
