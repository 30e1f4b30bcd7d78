"""CrossDistillation: what is compared, on which grid, and what never moves."""

import copy

import pytest
import torch
from mmengine.runner import save_checkpoint

from mmdssl.models.algorithms.cross_distillation import CrossDistillation
from tests.models.tiny import tiny_batch
from tests.models.tiny_resnet import narrow, two_views

BRANCH = dict(type='DecouplingBranch', sample_ratio=0.25, weight=0.4)
VIT = dict(
    type='DenseViT',
    arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48),
    img_size=32,
    patch_size=8,
)


LINEAR = dict(type='PointMLP', in_channels=24, hidden_channels=0, out_channels=32, num_layers=1)
WITH_NORM = dict(type='PointMLP', in_channels=32, hidden_channels=8, out_channels=32, num_layers=2)


def host(*, teacher: dict | None = None, **settings) -> CrossDistillation:
    """A ViT of 4 x 4 patches learns from a ResNet of 32 channels; weights from seed 0."""
    torch.manual_seed(0)
    frozen = dict(type='FrozenMaps', backbone=narrow(), init='random')
    parts = dict(
        backbone=VIT,
        neck=LINEAR,
        teacher=frozen | (teacher or {}),
    )
    model = CrossDistillation(**{**parts, **settings})
    model.init_weights()
    model.train()
    model.clock.set(iteration=0, max_iterations=10)
    return model


def cosine(one: torch.Tensor, two: torch.Tensor) -> float:
    return float(one @ two / one.norm() / two.norm())


def test_cells_of_both_nets_are_compared_and_x_d_in_its_foreground_only():
    """Recomputed cell by cell in the second step: the statistics are those of two batches."""
    model = host(decoupling=BRANCH)
    batch = two_views()
    first, images = torch.randn(8, 3, 32, 32), batch['views'][0]
    model.loss({**batch, 'views': [first, images]})
    got = model.loss(batch)
    with torch.no_grad():
        both = torch.cat([model.teacher.backbone(x)[-1] for x in (first, images)])
        mean = both.mean(dim=(0, 2, 3), keepdim=True)
        deviation = both.var(dim=(0, 2, 3), keepdim=True, unbiased=False).add(1e-5).sqrt()
        wanted = ((both - mean) / deviation)[8:]
        keep = [
            1 - cosine(model.neck.mlp(model.backbone(images)[-1])[n, :, y, x], wanted[n, :, y, x])
            for n in range(8)
            for y in range(4)
            for x in range(4)
        ]
        chosen = model.decoupling.compose(batch).selections[0].index.tolist()
        assert len(chosen) == 2
        masks = batch['dc_mask'][0]
        # The branch turns the batch round for backgrounds.
        mixed = torch.stack([torch.where(masks[i], images[7 - i], images[i]) for i in chosen])
        seen = model.neck.mlp(model.backbone(mixed)[-1])
        samples = []
        for n, index in enumerate(chosen):
            cut = masks[index].float().unfold(0, 8, 8).unfold(1, 8, 8).mean(dim=(2, 3))
            cells = [
                1 - cosine(seen[n, :, y, x], wanted[index, :, y, x])
                for y, x in (cut <= 0.5).nonzero().tolist()
            ]
            samples.append(sum(cells) / len(cells))
    torch.testing.assert_close(got['loss_distill'].item(), 0.6 * sum(keep) / len(keep))
    torch.testing.assert_close(got['loss_decoupling'].item(), 0.4 * sum(samples) / 2)


@pytest.mark.parametrize('scale', [0.5, 1.5])
def test_the_coarser_map_is_enlarged_and_the_teacher_sees_its_own_size_and_pixels(scale):
    colours = dict(mean=[100.0, 90.0, 80.0], std=[50.0, 60.0, 70.0])
    model = host(teacher=dict(scale=scale, **colours))
    images = two_views()['views'][0]
    seen = []
    model.teacher.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    got = model.loss(dict(views=[images]))['loss_distill']
    pre = model.data_preprocessor
    pixels = images * torch.tensor(pre.std)[:, None, None] + torch.tensor(pre.mean)[:, None, None]
    own = (pixels - torch.tensor(colours['mean'])[:, None, None]) / torch.tensor(colours['std'])[
        :, None, None
    ]
    sides = (round(32 * scale),) * 2
    resized = torch.nn.functional.interpolate(own, sides, mode='bicubic', antialias=scale < 1)
    torch.testing.assert_close(seen[0], resized, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        taught = model.standard(model.teacher(images))
        learnt = model.neck(model.backbone(images))
        side = max(taught.shape[2], 4)
        taught, learnt = (
            torch.nn.functional.interpolate(x, (side, side), mode='bilinear')
            for x in (taught, learnt)
        )
        cosines = torch.nn.functional.cosine_similarity(taught, learnt, dim=1)
    torch.testing.assert_close(got, (1 - cosines).mean())


def test_only_student_and_neck_learn_and_a_run_goes_on_where_it_stopped():
    batch = two_views()

    def steps(model: CrossDistillation, count: int) -> None:
        for _ in range(count):
            model.zero_grad()
            sum(model.loss(batch).values()).backward()
            with torch.no_grad():
                for parameter in (*model.backbone.parameters(), *model.neck.parameters()):
                    if parameter.grad is not None:
                        parameter -= 0.5 * parameter.grad

    through, stopped = host(decoupling=BRANCH), host(decoupling=BRANCH)
    before = copy.deepcopy(through.state_dict())
    steps(through, 2)
    steps(stopped, 1)
    resumed = host(decoupling=BRANCH)
    resumed.load_state_dict(stopped.state_dict())
    steps(resumed, 1)
    moved = set()
    for name, value in through.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
        if not torch.equal(value, before[name]):
            moved.add(name.split('.')[0])
    assert moved == {'backbone', 'neck', 'standard'}
    assert not any(parameter.requires_grad for parameter in through.teacher.parameters())


def test_x_d_moves_no_statistics_and_evaluation_none_at_all():
    model = host(backbone=narrow(), neck=WITH_NORM)
    before = copy.deepcopy(model.state_dict())
    model.dense_features(torch.randn(4, 3, 32, 32))
    model.eval()
    model.loss(two_views())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.train()
    model.loss(two_views())
    moved = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert {'standard.mean', 'backbone.bn1.running_mean', 'neck.mlp.1.running_mean'} <= moved


def test_the_teacher_comes_from_its_file_and_is_missed_before_training(tmp_path):
    given = host().teacher.backbone
    file = tmp_path / 'teacher.pth'
    save_checkpoint(
        dict(state_dict={f'backbone.{n}': v for n, v in given.state_dict().items()}), str(file)
    )
    torch.manual_seed(1)
    model = host(teacher=dict(init='pretrained', checkpoint=str(file)))
    for name, value in model.teacher.backbone.state_dict().items():
        assert torch.equal(value, given.state_dict()[name]), name
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r'model\.teacher\.checkpoint=FILE'):
        model.check_data(batch_size=8, num_images=80)


def test_refusals_say_what_to_do():
    with pytest.raises(ValueError, match=r'set model\.neck\.out_channels=32'):
        host(neck=dict(LINEAR, out_channels=30)).loss(two_views())
    with pytest.raises(ValueError, match='use PointMLP'):
        host(neck=dict(type='GlobalAveragePooling'))
    with pytest.raises(ValueError, match="out_type='featmap'"):
        host(backbone=dict(VIT, out_type='cls_token')).loss(tiny_batch())
    with pytest.raises(ValueError, match='scale is 0'):
        host(teacher=dict(scale=0))
    with pytest.raises(ValueError, match='use MultiViewPreprocessor'):
        host(
            teacher=dict(mean=[0, 0, 0], std=[1, 1, 1]),
            data_preprocessor=dict(type='BaseDataPreprocessor'),
        )
