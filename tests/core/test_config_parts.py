import copy
import re

import pytest
from mmengine.config import Config

from mmdssl.core.config_parts import changed, with_masks
from tests.conftest import ROOT

STEPS = [
    dict(type='Load'),
    dict(type='Views', each=[[dict(type='Crop', size=224, scale=(0.2, 1.0))], [dict(size=96)]]),
    dict(type='Mask', mask_size=(14, 14), ratio=(0.3, 0.5)),
]


def test_dicts_that_hold_what_is_asked_get_the_new_entries_at_any_depth():
    before = copy.deepcopy(STEPS)
    small = changed(
        STEPS,
        [
            (dict(size=224), dict(size=128, scale=(0.3, 1.0))),
            (dict(mask_size=(14, 14)), dict(mask_size=(8, 8))),
            (dict(type='Mask'), dict(min_area=4)),
            (
                dict(size=128),
                dict(size=1),
            ),  # finds nothing: it was 224
            (dict(type='Crop', size=96), dict(size=2)),  # both entries are asked for
        ],
    )
    assert small == [
        dict(type='Load'),
        dict(type='Views', each=[[dict(type='Crop', size=128, scale=(0.3, 1.0))], [dict(size=96)]]),
        dict(type='Mask', mask_size=(8, 8), ratio=(0.3, 0.5), min_area=4),
    ]
    assert before == STEPS


def test_the_copy_shares_nothing_that_could_be_changed():
    small = changed(STEPS, [])
    small[1]['each'][0][0]['size'] = 7
    assert STEPS[1]['each'][0][0]['size'] == 224


def test_the_example_for_other_sizes_is_a_config(tmp_path):
    folder = ROOT / 'configs/ibot'
    (example,) = re.findall(r'```python\n(.*?)```', (folder / 'README.md').read_text(), re.S)
    mine = tmp_path / 'mine.py'
    mine.write_text(example.replace("'./", f"'{folder}/"))
    config = Config.fromfile(mine)
    crop, _, mask = config.train_dataloader.dataset.pipeline[1].pipelines[0]
    assert (crop.size, mask.mask_size, config.model.backbone.img_size) == (160, (10, 10), 160)
    assert config.train_dataloader.batch_size == 64  # the rest is as it was


GRID = dict(type='GridRegions', grid=3)
CUT = dict(type='RegionCollaborativeCutout', mask_size=(8, 8), stream='own')


@pytest.mark.parametrize('again', [1, 2])
def test_another_mask_takes_name_size_and_stream_and_leaves_the_regions_of_others(again):
    branch = dict(type='BlockwiseMask', mask_size=(8, 8), key='dc_mask', stream='dc')
    steps = [dict(type='Crop'), GRID, CUT, branch]
    views = dict(type='Views', pipelines=[steps, [dict(type='Crop')]])
    before = copy.deepcopy(views)
    made_by = [dict(type='GridRegions', grid=2), dict(type='ProposalCutout', ratio=0.4)]
    found = [views]
    for _ in range(again):
        found = with_masks(found, 'dc_mask', made_by)
    own = dict(key='dc_mask_regions', stream='dc')
    cutout = dict(key='dc_mask', regions_key='dc_mask_regions', stream='dc', mask_size=(8, 8))
    new = [{**made_by[0], **own}, {**made_by[1], **cutout}]
    wanted = [[dict(type='Crop'), GRID, CUT, *new], [dict(type='Crop')]]
    assert found == [dict(type='Views', pipelines=wanted)]
    assert views == before
    plain = with_masks(found, 'dc_mask', [dict(type='BlockwiseMask')])
    assert plain == [views]  # the grid that nothing needs any more is gone
    with pytest.raises(ValueError, match="makes no mask 'erase'"):
        with_masks(found, 'erase', made_by)
