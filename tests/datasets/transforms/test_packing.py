import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate

from mmdssl.datasets.transforms.multiview import MultiViewWithBoxes
from mmdssl.datasets.transforms.packing import PackViews

GLOBAL = [
    dict(type='RandomResizedCropWithBoxes', size=32),
    dict(type='GridRegions'),
    dict(type='RegionCollaborativeCutout', ratio=0.4, mask_size=(4, 4)),
]
LOCAL = [dict(type='RandomResizedCropWithBoxes', size=16), dict(type='RandomFlipWithBoxes')]


def views(index=0):
    rng = np.random.default_rng(index)
    data = dict(
        img=rng.integers(0, 256, (60, 80, 3), np.uint8), img_path=f'{index}.jpg', sample_idx=index
    )
    return MultiViewWithBoxes(num_views=[2, 3], pipelines=[GLOBAL, LOCAL])(data)


def test_images_become_channels_first_tensors_with_the_same_pixels():
    np.random.seed(0)
    results = views()
    packed = PackViews()(results)
    for tensor, view in zip(packed['inputs']['views'], results['views'], strict=True):
        assert tensor.dtype == torch.uint8
        assert tensor.is_contiguous()
        np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), view['img'])


def test_keys_only_some_views_have_are_listed_in_view_order():
    results = views()
    packed = PackViews(keys=('mask',))(results)
    assert len(packed['inputs']['views']) == 5
    assert len(packed['inputs']['mask']) == 2
    for tensor, view in zip(packed['inputs']['mask'], results['views'], strict=False):
        assert tensor.dtype == torch.bool
        np.testing.assert_array_equal(tensor.numpy(), view['mask'])


def test_metainfo_tells_where_a_sample_comes_from():
    packed = PackViews()(views(7))
    assert packed['data_samples'].img_path == '7.jpg'
    assert packed['data_samples'].sample_idx == 7
    assert 'ori_shape' not in packed['data_samples'].metainfo  # this sample has none


def test_samples_collate_to_a_batch_by_view():
    pack = PackViews(keys=('mask',))
    batch = default_collate([pack(views(index)) for index in range(3)])
    assert [tuple(view.shape) for view in batch['inputs']['views']] == [(3, 3, 32, 32)] * 2 + [
        (3, 3, 16, 16)
    ] * 3
    assert [tuple(mask.shape) for mask in batch['inputs']['mask']] == [(3, 4, 4)] * 2
    assert [sample.sample_idx for sample in batch['data_samples']] == [0, 1, 2]


def test_a_key_nobody_has_is_named():
    with pytest.raises(ValueError, match="'dc_mask', but no view has it"):
        PackViews(keys=('mask', 'dc_mask'))(views())


def test_missing_views_give_a_remedy():
    with pytest.raises(ValueError, match='MultiViewWithBoxes'):
        PackViews()(dict(img=np.zeros((4, 4, 3), np.uint8)))
