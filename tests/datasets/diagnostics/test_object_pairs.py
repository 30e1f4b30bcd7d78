"""Pairs: the views hold what they say, the choice keeps its rule, short data are named."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdssl.datasets.diagnostics import ObjectPairs
from mmdssl.registry import DATASETS
from tests.datasets.diagnostics.diagnostic_files import write_objects

RATIOS = (0.0, 0.3, 0.5, 0.9)


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_objects(tmp_path_factory.mktemp('pairs'))


def build(files: dict, **settings) -> ObjectPairs:
    settings = dict(num=5, size=64, patch_size=8, ratios=RATIOS) | settings
    return DATASETS.build(dict(type='ObjectPairs', **files, **settings))


def part(view: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    x1, y1, x2, y2 = box.int().tolist()
    return view[:, y1:y2, x1:x2]


def test_views_hold_one_object_or_both_and_lose_the_share_they_say(files):
    for sample in build(files):
        views, boxes = sample['inputs'], sample['data_samples'].diagnostic_boxes
        assert views.shape == (6, 3, 64, 128)
        assert views.dtype == torch.uint8
        assert boxes.shape == (6, 2, 4)
        assert (boxes % 8 == 0).all()
        only_b, only_a = views[0], views[1]
        assert not only_b[..., :64].any()
        assert not only_a[..., 64:].any()
        assert part(only_a, boxes[1, 0]).sum() == only_a.sum()
        assert part(only_b, boxes[0, 1]).sum() == only_b.sum()
        assert torch.equal(views[2], torch.maximum(only_a, only_b))
        gone_before = torch.zeros(6, 6, dtype=torch.bool)
        for ratio, view, box in zip(RATIOS, views[2:], boxes[2:], strict=True):
            assert torch.equal(view[..., 64:], only_b[..., 64:])
            patches = part(view, box[0]).unfold(1, 8, 8).unfold(2, 8, 8)  # (3, h, w, 8, 8)
            gone = (patches.permute(1, 2, 0, 3, 4).flatten(2) == 0).all(dim=2)
            assert gone.sum() == round(ratio * gone.numel())
            assert (gone | ~gone_before).all()  # removed once, removed for all larger ratios
            gone_before = gone
            kept = part(only_a, box[0]).unfold(1, 8, 8).unfold(2, 8, 8)[:, ~gone]
            assert torch.equal(patches[:, ~gone], kept)


def test_a_alone_loses_the_same_patches_with_mask_a1(files):
    plain, masked = build(files)[2]['inputs'], build(files, mask_a1=True)[2]
    assert torch.equal(masked['inputs'][:6], plain)
    assert masked['data_samples'].diagnostic_boxes.shape == (10, 2, 4)
    for both, alone in zip(masked['inputs'][2:6], masked['inputs'][6:], strict=True):
        assert torch.equal(alone[..., :64], both[..., :64])
        assert not alone[..., 64:].any()


def test_shrinking_scales_a_and_its_box_about_the_centre(files):
    sample = build(files, remove='shrink')[0]
    views, boxes = sample['inputs'], sample['data_samples'].diagnostic_boxes
    whole = boxes[1, 0]
    for ratio, view, box in zip(RATIOS, views[2:], boxes[2:, 0], strict=True):
        torch.testing.assert_close((box[2:] - box[:2]) / (1 - ratio), whole[2:] - whole[:2],
                                   atol=0.5 / (1 - ratio), rtol=0)  # fmt: skip
        torch.testing.assert_close(box[2:] + box[:2], whole[2:] + whole[:2], atol=1, rtol=0)
        assert part(view, box).sum() == view[..., :64].sum()
    assert torch.equal(views[2][..., :64], views[1][..., :64])


def test_tokens_mark_the_patches_that_black_would_remove(files):
    black, token = build(files)[1], build(files, mask_fill='token')[1]
    masks = token['data_samples'].token_mask
    assert masks.shape == (6, 8, 16)
    assert masks.dtype == torch.bool
    assert not masks[:2].any()
    for view, mask, removed in zip(
        token['inputs'][2:], masks[2:], black['inputs'][2:], strict=True
    ):
        pixels = mask.repeat_interleave(8, 0).repeat_interleave(8, 1)
        assert torch.equal(torch.where(pixels, 0, view), removed)


def test_pairs_are_of_two_classes_and_images_and_use_an_object_once(files):
    data = build(files, num=6)
    assert len({one.image for pair in data.pairs for one in pair}) == 12
    for sample in data:
        info = sample['data_samples']
        assert info.labels[0] != info.labels[1]
        assert [(i - 1) % 3 for i in info.img_ids] == list(info.labels)
    selection = data.metainfo['selection']
    assert selection['seed'] == 0
    assert selection['classes_used'] == {'class 0': 4, 'class 1': 4, 'class 2': 4}
    json.dumps(selection)


def test_the_seed_alone_decides_and_samples_repeat(files):
    first, again, other = build(files), build(files), build(files, seed=1)
    assert first.pairs == again.pairs != other.pairs
    assert torch.equal(first[3]['inputs'], again[3]['inputs'])
    assert torch.equal(first[3]['inputs'], first[3]['inputs'])


def test_proportions_are_kept_to_half_a_patch(tmp_path: Path):
    files = write_objects(tmp_path / 'wide')
    path = Path(files['ann_file'])
    content = json.loads(path.read_text())
    for one in content['annotations']:
        one['bbox'][3] = 28  # 56 x 28
    path.write_text(json.dumps(content))
    boxes = build(files, size=128, min_side=16)[0]['data_samples'].diagnostic_boxes[0]
    assert (boxes[:, 2:] - boxes[:, :2]).tolist() == [[112, 56], [112, 56]]
    assert ((boxes[:, 0] % 128).tolist(), boxes[:, 1].tolist()) == ([8, 8], [32, 32])


def test_data_without_single_object_images_serve_as_crops(tmp_path: Path):
    files = write_objects(tmp_path / 'two', objects=2)
    with pytest.raises(ValueError, match=r"0 single-object images.*source='crop'"):
        build(files)
    data = build(files, source='crop', num=10)
    assert len(data) == 10
    assert np.unique([pair[0].number for pair in data.pairs]).size == 2


def test_too_short_data_are_named(files, tmp_path: Path):
    with pytest.raises(ValueError, match=r'gives 6 pairs .*not the 200 asked for'):
        build(files, num=200)
    with pytest.raises(ValueError, match='all its objects that may be used are of one class'):
        build(write_objects(tmp_path / 'one', classes=1))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(ratios=[0.5, 0.2]), 'must rise'),
        (dict(ratios=[1.0]), r'\[0, 1\)'),
        (dict(size=100), 'multiple of patch_size'),
        (dict(source='any'), "source='any'"),
        (dict(remove='shrink', mask_fill='token'), "needs remove='patches'"),
        (dict(num=0), 'num=0'),
    ],
)
def test_unusable_arguments_are_named(files, settings, message):
    with pytest.raises(ValueError, match=message):
        build(files, **settings)
