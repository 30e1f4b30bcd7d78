"""The one line that adds the branch makes the whole of a published -D config."""

import pytest

from mmdssl.engine.config import load_config
from tests.reference import ROOT

CONFIGS = ROOT / 'configs'
BRANCH = dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25)
PAIRS = [
    (plain, branched)
    for folder in (
        'ibot',
        'densecl',
        'pointlevel',
        'pixpro',
        'byol',
        'resim',
        'soco',
        'maskalign',
        'leopart',
    )
    for branched in sorted((CONFIGS / folder).glob(f'{folder}-d_*800e_coco.py'))
    if (plain := branched.with_name(branched.name.replace('-d_', '_'))).exists()
]


def written(path, base, more=''):
    path.write_text(f"_base_ = '{base}'\nmodel = dict(decoupling=dict({more or 'weight=0.3'}))\n")
    return path


@pytest.mark.parametrize(('plain', 'branched'), PAIRS, ids=[plain.stem for plain, _ in PAIRS])
def test_one_line_gives_the_data_of_the_published_config(tmp_path, plain, branched):
    line = "type='DecouplingBranch', weight=0.3, sample_ratio=0.25"
    one = load_config(written(tmp_path / 'one.py', plain, line))
    assert one.train_dataloader.to_dict() == load_config(branched).train_dataloader.to_dict()
    assert one.model.decoupling.weight == 0.3


def test_it_was_tried_on_several_methods():
    assert {plain.parent.name for plain, _ in PAIRS} >= {'ibot', 'densecl', 'soco', 'maskalign'}


def test_an_option_on_the_command_line_does_the_same():
    plain = CONFIGS / 'ibot/ibot_vit-small-p16_8xb64-coslr-800e_coco.py'
    options = {'data_root': 'x', 'model.decoupling': dict(BRANCH)}
    config = load_config(plain, options)
    assert config.train_dataloader.dataset.pipeline == config.decoupled_pipeline
    assert config.train_dataloader.dataset.data_root == 'x/train2017/'


@pytest.mark.parametrize(
    'branch',
    [None, dict(BRANCH, mask_source='pool'), dict(BRANCH, mask_key='mask'), dict(type='OfMyOwn')],
)
def test_what_needs_no_masks_keeps_its_pipeline(branch):
    plain = CONFIGS / 'ibot/ibot_vit-small-p16_8xb64-coslr-800e_coco.py'
    config = load_config(plain, {'model.decoupling': branch})
    assert config.train_dataloader.dataset.pipeline == config.block_pipeline


def test_of_two_pipelines_with_masks_none_is_guessed():
    plain = CONFIGS / 'ibot/ibot_vit-small-p16_8xb64-coslr-800e_coco.py'
    both = load_config(plain).decoupled_pipeline
    config = load_config(plain, {'model.decoupling': BRANCH, 'other_pipeline': both})
    assert config.train_dataloader.dataset.pipeline == config.block_pipeline


def test_a_branch_in_the_list_does_the_same():
    plain = CONFIGS / 'ibot/ibot_vit-small-p16_8xb64-coslr-800e_coco.py'
    config = load_config(plain, {'model.branches': [dict(type='GramAnchoring'), dict(BRANCH)]})
    assert config.train_dataloader.dataset.pipeline == config.decoupled_pipeline
