"""Counts of boxes do not depend on how the file is cut or ordered, and bad files are named."""

import random
from collections import Counter

import numpy as np
import pytest

from mmdssl.datasets import openimages_boxes
from mmdssl.datasets.openimages_boxes import count_boxes, read_class_names
from tests.datasets.openimages_files import HEADER, label_of, write_boxes, write_classes

NAMES = ['Cat', 'Dog', 'Tree']
LABELS = {label_of(name): index for index, name in enumerate(NAMES)}


def as_dict(counts):
    return {
        (counts.ids[image].decode(), NAMES[counts.classes[entry]]): int(counts.counts[entry])
        for image in range(len(counts))
        for entry in range(counts.offsets[image], counts.offsets[image + 1])
    }


def random_rows(count=400, images=37, seed=0):
    draw = random.Random(seed)
    return [
        (f'{draw.randrange(images):016x}', draw.choice(NAMES), draw.randrange(2))
        for _ in range(count)
    ]


@pytest.mark.parametrize('groups', [True, False])
def test_counts_are_those_of_a_plain_counter(tmp_path, groups, monkeypatch):
    monkeypatch.setattr(openimages_boxes, '_STRIDE', 5)  # several packings of ids
    rows = random_rows()
    counts = count_boxes(write_boxes(tmp_path / 'b.csv', rows), LABELS, groups=groups)
    expected = Counter((image, name) for image, name, group in rows if groups or not group)
    assert as_dict(counts) == expected
    assert (np.diff(counts.offsets) > 0).all()


def test_order_of_rows_makes_no_difference(tmp_path):
    rows = random_rows()
    one = count_boxes(write_boxes(tmp_path / 'one.csv', rows), LABELS)
    other = count_boxes(write_boxes(tmp_path / 'other.csv', sorted(rows)), LABELS)
    for name in ('ids', 'offsets', 'classes', 'counts'):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_further_columns_and_another_order_of_columns_are_fine(tmp_path):
    path = tmp_path / 'b.csv'
    path.write_text('IsGroupOf,XClick1X,LabelName,ImageID\n0,-1,/m/dog,a\n1,-1,/m/dog,a\n')
    assert as_dict(count_boxes(path, LABELS)) == {('a', 'Dog'): 2}


@pytest.mark.parametrize('header', [True, False])
def test_class_names_keep_their_order(tmp_path, header):
    path = write_classes(tmp_path / 'c.csv', NAMES, header=header)
    assert read_class_names(path) == dict(zip(LABELS, NAMES, strict=True))


def test_bad_files_are_one_clear_sentence(tmp_path):
    path = write_boxes(tmp_path / 'b.csv', [('a', 'Cat')], header=HEADER[:2])
    with pytest.raises(ValueError, match=r'lacks the column\(s\) LabelName, IsGroupOf'):
        count_boxes(path, LABELS)
    path = write_boxes(tmp_path / 'b.csv', [('a', 'Cat'), ('a', 'Yeti')])
    with pytest.raises(ValueError, match=r"line 3: label '/m/yeti' is not among"):
        count_boxes(path, LABELS)
    path.write_text(path.read_text().splitlines()[0] + '\na,x\n')
    with pytest.raises(ValueError, match='line 2: a row with too few columns'):
        count_boxes(path, LABELS)
    path.write_text('')
    with pytest.raises(ValueError, match='lacks the column'):
        count_boxes(path, LABELS)
    with pytest.raises(FileNotFoundError, match=r'no file .*nowhere\.csv of Open Images boxes'):
        count_boxes(tmp_path / 'nowhere.csv', LABELS)
    path.write_text('/m/a,A\n/m/a,B\n')
    with pytest.raises(ValueError, match='line 2: label /m/a occurs twice'):
        read_class_names(path)
    path.write_text('/m/a\n')
    with pytest.raises(ValueError, match='line 1: a class is a label and a name'):
        read_class_names(path)
    path.write_text('')
    with pytest.raises(ValueError, match='holds no class'):
        read_class_names(path)
