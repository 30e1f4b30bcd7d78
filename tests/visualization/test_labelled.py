"""Pictures of batches with their truth: colours in order, boxes and labels where they belong."""

from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from mmdssl.visualization.labelled import draw_labelled_batch, labelled_panels
from tests.visualization.drawn import drawn


class Sample(dict):
    """As mmengine's data elements: ``in``, and attributes."""

    __getattr__ = dict.__getitem__


BGR = SimpleNamespace(_channel_conversion=True)
RGB = SimpleNamespace()


def image() -> torch.Tensor:
    pixels = torch.zeros(3, 8, 10, dtype=torch.uint8)
    pixels[0] = 200  # blue for a loader of OpenCV
    return pixels


def boxes(count: int = 2) -> Sample:
    corners = torch.tensor([[1.0, 2.0, 5.0, 6.0], [0.0, 0.0, 9.0, 7.0]])[:count]
    found = SimpleNamespace(bboxes=corners, labels=torch.tensor([1, 0])[:count])
    return Sample(gt_instances=found)


def test_colours_are_as_the_model_gets_them():
    batch = dict(inputs=[image()], data_samples=[boxes()])
    ((shown, _),) = labelled_panels(batch, data_preprocessor=BGR)
    assert shown[0, 0].tolist() == [0, 0, 200]
    ((shown, _),) = labelled_panels(batch, data_preprocessor=RGB)
    assert shown[0, 0].tolist() == [200, 0, 0]


def test_boxes_carry_the_names_of_their_labels():
    wrapped = boxes()
    wrapped.gt_instances.bboxes = SimpleNamespace(tensor=wrapped.gt_instances.bboxes)
    for sample in (boxes(), wrapped):
        batch = dict(inputs=[image()], data_samples=[sample])
        ((_, found),) = labelled_panels(batch, data_preprocessor=BGR, classes=('cat', 'cup'))
        assert found.corners.tolist() == [[1, 2, 5, 6], [0, 0, 9, 7]]
        assert found.texts == ['cup', 'cat']
    ((_, found),) = labelled_panels(batch, data_preprocessor=BGR)
    assert found.texts == ['1', '0']


def test_label_maps_lie_over_the_image_but_not_where_they_are_ignored():
    labels = torch.zeros(1, 8, 10, dtype=torch.long)
    labels[0, :, 5:] = 3
    labels[0, 0] = 255
    sample = Sample(gt_sem_seg=SimpleNamespace(data=labels))
    batch = dict(inputs=[image()], data_samples=[sample])
    ((shown, found),) = labelled_panels(batch, data_preprocessor=BGR)
    assert found is None
    assert (shown[0] == [0, 0, 200]).all()
    assert len(np.unique(shown[1:, :5].reshape(-1, 3), axis=0)) == 1
    assert not (shown[1, 0] == shown[1, 9]).all()


def test_a_sheet_of_all_images_up_to_a_number(tmp_path):
    batch = dict(inputs=[image()] * 7, data_samples=[boxes()] * 7)
    assert len(labelled_panels(batch, data_preprocessor=BGR, max_images=5)) == 5
    path = draw_labelled_batch(batch, tmp_path / 'a/batch.png', data_preprocessor=BGR)
    few = draw_labelled_batch(
        dict(inputs=[image()], data_samples=[boxes(0)]), tmp_path / 'b.png', data_preprocessor=BGR
    )
    wide, narrow = (Image.open(one).size for one in (path, few))
    assert wide[0] > 3 * narrow[0]
    assert wide[1] >= narrow[1]
    drawn(path, width=3 * narrow[0], height=narrow[1])
