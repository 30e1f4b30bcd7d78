"""Parts and backgrounds: what stays is bit-equal, what goes is black or another image's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdssl.registry import DATASETS
from tests.datasets.diagnostics.diagnostic_files import SIDE, SIZE, write_objects


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_objects(tmp_path_factory.mktemp('parts'))


def build(kind: str, files: dict, **settings):
    settings = dict(num=8, size=SIZE) | settings
    return DATASETS.build(dict(type=kind, **files, **settings))


def image(files: dict, img_id: int) -> torch.Tensor:
    pixels = Image.open(Path(files['data_prefix']) / f'{img_id - 1:03d}.png')
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)


def test_a_part_is_a_quarter_of_the_box_and_survives_in_all_views(files):
    data = build('ObjectParts', files)
    quarters = set()
    for sample, choice in zip(data, data.choices, strict=True):
        info, views = sample['data_samples'], sample['inputs']
        assert views.shape == (4, 3, SIZE, SIZE)
        assert info.diagnostic_weights.shape == (4, 1, SIZE, SIZE)
        own, other = image(files, info.img_id), image(files, choice.other + 1)
        part = info.diagnostic_weights[0, 0]
        assert (info.diagnostic_weights == part).all()
        assert part.sum() == (SIDE // 2) ** 2
        x, y = data.objects.get_data_info(choice.image)['gt_bboxes'][0][:2].astype(int)
        whole = torch.zeros_like(part)
        whole[y : y + SIDE, x : x + SIDE] = True
        rows, columns = part.nonzero().amin(dim=0).tolist()
        quarters.add((2 * (rows > y), columns > x))
        for rest, (removed, exchanged) in (
            (whole & ~part, views[:2]),
            (~part, views[2:]),
        ):
            assert torch.equal(removed, torch.where(rest, 0, own))
            assert torch.equal(exchanged, torch.where(rest, other, own))
    assert len(quarters) > 1
    assert len({choice.image for choice in data.choices}) == 8
    assert all(choice.image != choice.other for choice in data.choices)


def test_one_kind_of_rest_makes_two_views(files):
    both, one = build('ObjectParts', files), build('ObjectParts', files, rests=['all'])
    assert torch.equal(one[3]['inputs'], both[3]['inputs'][2:])
    assert one.metainfo['selection']['rests'] == ['all']


def test_larger_masks_are_scaled_to_the_image(files):
    small, large = build('ObjectParts', files), build('ObjectParts', files, size=2 * SIZE)
    part = small[0]['data_samples'].diagnostic_weights[0, 0]
    doubled = part.repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert torch.equal(large[0]['data_samples'].diagnostic_weights[0, 0], doubled)


def test_a_file_without_masks_is_named(tmp_path: Path):
    files = write_objects(tmp_path / 'boxes', masks=False)
    with pytest.raises(ValueError, match='has no segmentation: intra-object coupling needs'):
        build('ObjectParts', files)
    with pytest.raises(ValueError, match="has no segmentation: set keep='box'"):
        build('ObjectBackgrounds', files, keep='mask')


@pytest.mark.parametrize('keep', ['box', 'mask'])
def test_an_object_keeps_its_pixels_on_another_background(files, keep):
    data = build('ObjectBackgrounds', files, keep=keep)
    for sample, choice in zip(data, data.choices, strict=True):
        info, views = sample['data_samples'], sample['inputs']
        own, other = image(files, info.img_id), image(files, choice.other + 1)
        assert info.diagnostic_boxes.shape == (2, 1, 4)
        x1, y1, x2, y2 = info.diagnostic_boxes[0, 0].int().tolist()
        inside = torch.zeros(SIZE, SIZE, dtype=torch.bool)
        inside[y1:y2, x1:x2] = True
        assert inside.sum() == SIDE**2
        assert torch.equal(views[0], own)
        assert torch.equal(views[1], torch.where(inside, own, other))


def test_choices_repeat_with_the_seed_only(files):
    for kind in ('ObjectParts', 'ObjectBackgrounds'):
        first, again, other = (build(kind, files, seed=seed) for seed in (0, 0, 1))
        assert first.choices == again.choices != other.choices
        assert torch.equal(first[2]['inputs'], again[2]['inputs'])


def test_too_short_data_and_unusable_arguments_are_named(files, tmp_path: Path):
    for kind in ('ObjectParts', 'ObjectBackgrounds'):
        with pytest.raises(ValueError, match=f'{kind}: .* gives 12 images .*not the 50 asked'):
            build(kind, files, num=50)
        with pytest.raises(ValueError, match='has one image only'):
            build(kind, write_objects(tmp_path / kind, images=1), num=1)
    with pytest.raises(ValueError, match='gives 0 images with an object of 50% to 100%'):
        build('ObjectBackgrounds', files, area=(0.5, 1))
    with pytest.raises(ValueError, match='rests='):
        build('ObjectParts', files, rests=['background'])
    with pytest.raises(ValueError, match='min_part'):
        build('ObjectParts', files, min_part=0.5)
    with pytest.raises(ValueError, match="keep='all'"):
        build('ObjectBackgrounds', files, keep='all')
