import pytest
import torch
import torchvision.transforms.functional as tvf
from mmengine.dataset import default_collate
from mmpretrain.structures import DataSample

from mmdssl.models.data_preprocessors.multiview import MultiViewPreprocessor
from mmdssl.registry import MODELS

from .images import MEAN, STD, images, reference

JITTER = dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, prob=0.8)
VIEWS = [
    dict(jitter=JITTER, grayscale=0.2, blur=dict(prob=1.0, sigma=(0.1, 2.0))),
    dict(
        jitter=JITTER,
        grayscale=0.2,
        blur=dict(prob=0.1, sigma=(0.1, 2.0)),
        solarize=dict(prob=0.2, threshold=0.5),
    ),
]


def build(**kwargs):
    return MultiViewPreprocessor(**{'policies': VIEWS, **kwargs})


def batch(n=6, views=2, size=37):
    """What the loader gives: PackViews of n images after default_collate."""
    pixels = [images(n, size, size + 4, seed=view) for view in range(views)]
    samples = [
        dict(
            inputs=dict(
                views=[view[i] for view in pixels],
                mask=[torch.rand(3, 3) < 0.5 for _ in range(views)],
            ),
            data_samples=DataSample(metainfo=dict(sample_idx=i)),
        )
        for i in range(n)
    ]
    return default_collate(samples)


def normalised(pixels):
    return tvf.normalize(pixels.float() / 255, MEAN, STD)


def test_training_colours_each_view_by_its_policy():
    data, preprocessor = batch(), build()
    torch.manual_seed(0)
    out = preprocessor(data, training=True)
    torch.manual_seed(0)
    for view, policy, result in zip(
        data['inputs']['views'], preprocessor.policies, out['inputs']['views'], strict=True
    ):
        draws = policy.draw(len(view))
        assert result.shape == view.shape
        assert result.dtype == torch.float32
        for row, image in enumerate(view):
            expected = reference(image, draws, row, radius=6, official=True)
            close = torch.isclose(result[row], expected, rtol=0, atol=1e-4)
            assert close.float().mean() > 0.999


def test_other_keys_come_through_untouched():
    data = batch()
    out = build()(data, training=True)
    for mask, expected in zip(out['inputs']['mask'], data['inputs']['mask'], strict=True):
        assert mask.dtype == torch.bool
        assert torch.equal(mask, expected)
    assert [sample.sample_idx for sample in out['data_samples']] == list(range(6))
    assert set(out['inputs']) == {'views', 'mask'}
    assert all(view.dtype == torch.uint8 for view in data['inputs']['views'])


def test_a_seed_fixes_the_views_and_a_step_changes_them():
    data, preprocessor = batch(), build()
    torch.manual_seed(0)
    first, second = (preprocessor(data, training=True)['inputs']['views'] for _ in range(2))
    torch.manual_seed(0)
    again = preprocessor(data, training=True)['inputs']['views']
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], second[0])


def test_evaluation_only_normalises():
    data = batch()
    state = torch.get_rng_state()
    out = build(keep_raw=True)(data, training=False)
    assert torch.equal(state, torch.get_rng_state())
    for result, view in zip(out['inputs']['views'], data['inputs']['views'], strict=True):
        torch.testing.assert_close(result, normalised(view), rtol=0, atol=1e-5)
    assert 'raw' not in out['inputs']


@pytest.mark.parametrize('training', [True, False])
def test_one_tensor_is_only_normalised(training):
    pixels = images()
    out = build()(dict(inputs=pixels), training=training)
    torch.testing.assert_close(out['inputs'], normalised(pixels), rtol=0, atol=1e-5)
    assert out['data_samples'] is None


def test_without_policies_any_number_of_views_is_normalised():
    preprocessor = MODELS.build(dict(type='MultiViewPreprocessor'))
    data = batch(views=3)
    out = preprocessor(data, training=True)
    for result, view in zip(out['inputs']['views'], data['inputs']['views'], strict=True):
        torch.testing.assert_close(result, normalised(view), rtol=0, atol=1e-5)


def test_views_of_equal_size_may_be_computed_together():
    """What an accelerator runs equals what the CPU runs view by view."""
    preprocessor = build(policies=[*VIEWS, VIEWS[0]])
    views = [images(6, seed=0), images(6, 20, 22, seed=1), images(6, seed=2)]
    torch.manual_seed(0)
    draws = [policy.draw(6) for policy in preprocessor.policies]
    together = preprocessor._colour_together(views, draws)
    for result, view, drawn in zip(together, views, draws, strict=True):
        expected = preprocessor._augment(view, drawn)
        torch.testing.assert_close(result, expected, rtol=0, atol=2e-5)


def test_num_views_repeats_policies():
    preprocessor = build(num_views=[1, 3])
    assert len(preprocessor.policies) == 4
    assert [policy.blur_prob for policy in preprocessor.policies] == [1.0, 0.1, 0.1, 0.1]
    out = preprocessor(batch(views=4), training=True)
    assert len(out['inputs']['views']) == 4


def test_wrong_number_of_views_is_one_clear_error():
    with pytest.raises(ValueError, match=r'3 views, but .* policies for 2'):
        build()(batch(views=3), training=True)


def test_raw_views_are_kept_and_recoloured_by_their_policy():
    data = batch()
    preprocessor = build(keep_raw=True)
    inputs = preprocessor(data, training=True)['inputs']
    for raw, view in zip(inputs['raw'], data['inputs']['views'], strict=True):
        assert torch.equal(raw, view)
    some = inputs['raw'][1][[1, 4]]
    torch.manual_seed(5)
    redrawn = inputs['recolor'](some, 1)
    torch.manual_seed(5)
    draws = preprocessor.policies[1].draw(2)
    torch.testing.assert_close(redrawn, preprocessor._augment(some, draws))
    assert not torch.equal(redrawn, inputs['views'][1][[1, 4]])


def test_recolor_of_an_unknown_view_is_refused():
    with pytest.raises(ValueError, match='view is from 0 to 1'):
        build().recolor(images(), 2)


def test_recolor_ignores_autocast():
    preprocessor = build()
    torch.manual_seed(0)
    expected = preprocessor.recolor(images(), 0)
    torch.manual_seed(0)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(preprocessor.recolor(images(), 0), expected)


@pytest.mark.parametrize('training', [True, False])
def test_channels_last_layout(training):
    out = build(channels_last=True)(batch(), training=training)
    for view in out['inputs']['views']:
        assert view.is_contiguous(memory_format=torch.channels_last)


def test_half_precision_models_do_not_round_the_statistics():
    pixels = images()
    preprocessor = torch.nn.ModuleList([build()]).half()[0]
    assert not preprocessor.state_dict()
    out = preprocessor(dict(inputs=pixels))['inputs']
    torch.testing.assert_close(out, normalised(pixels), rtol=0, atol=1e-5)


def test_aug_order_is_passed_on():
    data, results = batch(), []
    for aug_order in ('ibot_d', 'ibot'):
        torch.manual_seed(0)
        out = build(aug_order=aug_order)(data, training=True)
        results.append(out['inputs']['views'][0])
    assert (results[0] - results[1]).abs().max() > 0.01


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(aug_order='soco'), r"aug_order is one of \['ibot_d', 'ibot'\], got 'soco'"),
        (dict(policies=[dict(blur=1)]), r'policies\[0\]\.blur is a dict'),
        (dict(policies=VIEWS[0]), 'policies is a list'),
        (dict(policies=[]), 'policies is a list'),
        (dict(num_views=[1]), 'num_views has one positive number for each of the 2 policies'),
        (dict(num_views=[1, 0]), 'num_views has one positive number'),
        (dict(mean=MEAN, std=STD), r'in pixel values 0\.\.255 .* multiply both by 255'),
        (dict(mean=[1.0]), 'three values'),
    ],
)
def test_bad_settings_are_refused_at_build(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_lists_of_samples_are_refused_with_the_remedy():
    sample = dict(inputs=[dict(views=[images(1)[0]])])
    with pytest.raises(TypeError, match='default_collate'):
        build()(sample, training=True)


def test_images_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r'images are \(N, 3, H, W\), got .*\(1, 4, 5, 5\)'):
        build()(dict(inputs=torch.zeros(1, 4, 5, 5)))


def with_masks(dtype=torch.bool, masks=None):
    data = batch()
    generator = torch.Generator().manual_seed(3)
    data['inputs']['erase'] = masks or [
        (torch.rand(view[:, 0].shape, generator=generator) < 0.3).to(dtype)
        for view in data['inputs']['views']
    ]
    return data


@pytest.mark.parametrize('channels_last', [False, True])
@pytest.mark.parametrize('dtype', [torch.bool, torch.uint8])
def test_erased_pixels_are_zero_and_all_others_bit_equal(dtype, channels_last):
    data, results = with_masks(dtype), []
    for erase_key in (None, 'erase'):
        preprocessor = build(erase_key=erase_key, channels_last=channels_last)
        torch.manual_seed(0)
        results.append(preprocessor(data, training=True)['inputs'])
    plain, erased = results
    for view, before, mask in zip(
        erased['views'], plain['views'], data['inputs']['erase'], strict=True
    ):
        cut = mask.bool()[:, None].expand_as(view)
        assert (view[cut] == 0).all()
        assert torch.equal(view[~cut], before[~cut])
        assert (before[cut] == 0).float().mean() < 0.01
    for mask, given in zip(erased['erase'], data['inputs']['erase'], strict=True):
        assert torch.equal(mask, given)


def test_raw_views_recoloured_ones_and_evaluation_are_not_erased():
    data = with_masks()
    preprocessor = build(erase_key='erase', keep_raw=True)
    inputs = preprocessor(data, training=True)['inputs']
    for raw, view in zip(inputs['raw'], data['inputs']['views'], strict=True):
        assert torch.equal(raw, view)
    torch.manual_seed(5)
    redrawn = inputs['recolor'](inputs['raw'][0], 0)
    torch.manual_seed(5)
    assert torch.equal(redrawn, build().recolor(inputs['raw'][0], 0))
    for result, view in zip(
        preprocessor(data, training=False)['inputs']['views'], data['inputs']['views'], strict=True
    ):
        torch.testing.assert_close(result, normalised(view), rtol=0, atol=1e-5)


def test_views_without_colours_are_erased_too_and_float_images_stay_as_given():
    data = with_masks()
    data['inputs']['views'] = [view.float() / 255 for view in data['inputs']['views']]
    given = [view.clone() for view in data['inputs']['views']]
    out = build(policies=None, erase_key='erase')(data, training=True)['inputs']
    for result, view, before, mask in zip(
        out['views'], data['inputs']['views'], given, data['inputs']['erase'], strict=True
    ):
        assert torch.equal(view, before)
        assert (result.permute(0, 2, 3, 1)[mask] == 0).all()


@pytest.mark.parametrize(
    ('masks', 'message'),
    [
        (None, r'the batch has 2 views, but masks to erase: none; .*EmptyMask'),
        ([torch.ones(6, 37, 41)], 'the batch has 2 views, but masks to erase: 1; '),
        ([torch.ones(6, 7, 7)] * 2, r'mask to erase of shape \(6, 7, 7\), not \(N, H, W\)'),
    ],
)
def test_masks_that_do_not_fit_the_views_are_refused(masks, message):
    data = batch() if masks is None else with_masks(masks=masks)
    with pytest.raises(ValueError, match=message):
        build(erase_key='erase')(data, training=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_gives_the_same_views_as_the_cpu():
    data, results = batch(16), []
    for device in ('cpu', 'cuda'):
        preprocessor = build().to(device)
        torch.manual_seed(0)
        out = preprocessor(data, training=True)['inputs']['views']
        assert all(view.device.type == device for view in out)
        results.append([view.cpu() for view in out])
    for cpu, cuda in zip(*results, strict=True):
        close = torch.isclose(cpu, cuda, rtol=0, atol=1e-4)
        assert close.float().mean() > 0.999  # solarising jumps at its threshold


def test_larger_views_are_shrunk_for_the_student_and_kept_raw():
    large, small = images(6, 32, 32), images(6, 16, 16)
    preprocessor = build(keep_raw=True, student_size=16)
    inputs = preprocessor(dict(inputs=dict(views=[large, small])), training=True)['inputs']
    assert [view.shape[2:] for view in inputs['views']] == [(16, 16)] * 2
    assert torch.equal(inputs['raw'][0], large)
    assert inputs['recolor'](large, 0).shape[2:] == (16, 16)
    # Of one colour, shrunk or not: colours change afterwards, by the same draws.
    flat = torch.full_like(large, 100)
    found = []
    for side in (16, None):
        torch.manual_seed(3)
        batch = dict(inputs=dict(views=[flat, flat]))
        found.append(build(student_size=side)(batch, training=True)['inputs']['views'][0])
    torch.testing.assert_close(found[0], found[1][:, :, ::2, ::2])
