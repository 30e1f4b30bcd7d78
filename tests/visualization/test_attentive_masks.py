import numpy as np
import pytest
import torch
from PIL import Image

from mmdssl.visualization.attentive_masks import draw_attentive_masks, draws_of
from tests.models.tiny_maskalign import SIDE, tiny_maskalign


def test_sheet_shows_what_the_model_keeps(tmp_path):
    model = tiny_maskalign(data_preprocessor=dict(type='MultiViewPreprocessor'))
    images = torch.randint(0, 256, (3, 3, SIDE, SIDE), dtype=torch.uint8)
    torch.manual_seed(0)
    looked = draws_of(model, images, draws=2)
    assert len(looked) == 3
    normalised = model.data_preprocessor(dict(inputs=images), False)['inputs']
    with torch.no_grad():
        importance = model.teacher(normalised, ()).importance
    torch.manual_seed(0)
    kept = [model.kept_patches(importance) for _ in range(2)]
    for index, entry in enumerate(looked):
        assert entry.importance.ravel().tolist() == importance[index].tolist()
        for draw, patches in enumerate(kept):
            assert set(np.flatnonzero(entry.kept[draw])) == set(patches[index].tolist())
    for entry, image in zip(looked, images, strict=True):
        assert np.array_equal(entry.image, image.permute(1, 2, 0).numpy())
        assert entry.importance.shape == (4, 4)
        assert entry.kept.sum(axis=(1, 2)).tolist() == [4, 4]
    assert any((entry.kept[0] != entry.kept[1]).any() for entry in looked)
    path = draw_attentive_masks(looked, tmp_path / 'sheet.png')
    pixels = np.asarray(Image.open(path).convert('RGB'))
    assert pixels.shape[1] > pixels.shape[0]
    assert pixels.std() > 10
    with pytest.raises(ValueError, match='no images'):
        draw_attentive_masks([], tmp_path / 'none.png')
