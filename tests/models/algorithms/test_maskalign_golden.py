"""MaskAlign against the official code: masking, hidden states, alignment, losses, gradients."""

import pytest
import torch
from torch import Tensor, nn

from mmdssl.conversion.official_ibot import backbone_from_official
from mmdssl.models.algorithms.maskalign import MaskAlign
from mmdssl.models.losses.alignment_loss import alignment_loss, layer_weights
from mmdssl.models.utils.attentive_masking import attentive_order
from mmdssl.models.utils.frozen_teacher import TeacherView
from tests.golden import Golden, assert_close

pytestmark = pytest.mark.golden


class StoredTeacher(nn.Module):
    """Answers with the outputs of the golden teacher."""

    def __init__(self, golden: Golden, dtype: torch.dtype) -> None:
        super().__init__()
        self.depth, self.embed_dims = golden.number('cfg_depth'), golden.number('cfg_T')
        side = golden.number('cfg_img') // golden.number('cfg_P')
        self.grid = (side, side)
        self.hidden = golden['teacher_hidden'][1:].to(dtype)
        # head mean, CLS row
        self.importance = golden['teacher_last_attention'].mean(1)[:, 0, 1:].to(dtype)

    def forward(self, images: Tensor, layers: tuple[int, ...]) -> TeacherView:
        return TeacherView(tuple(self.hidden[i] for i in layers), self.importance)


def build(golden: Golden, layers: str = 'top5', dtype: torch.dtype = torch.float32) -> MaskAlign:
    width = golden.number('cfg_D')
    model = MaskAlign(
        backbone=dict(
            type='SinCosViT',
            arch=dict(
                embed_dims=width,
                num_layers=golden.number('cfg_depth'),
                num_heads=golden.number('cfg_heads'),
                feedforward_channels=golden['state/blocks.0.mlp.fc1.bias'].numel(),
            ),
            img_size=golden.number('cfg_img'),
            patch_size=golden.number('cfg_P'),
        ),
        teacher=StoredTeacher(golden, dtype),
        mask_ratio=golden.number('cfg_ratio'),
        layers=layers,
    )
    state = golden.sub('state/')
    backbone = {k: v for k, v in state.items() if not k.startswith('distill_')}
    model.backbone.load_state_dict(backbone_from_official(backbone))
    linears = {f'linears.{k}': v for k, v in state.sub('distill_heads.').items()}
    model.head.load_state_dict({**linears, 'matrix': state['distill_weights']})
    return model.to(dtype)


def losses(model: MaskAlign, golden: Golden) -> dict[str, Tensor]:
    torch.manual_seed(golden.number('torch_seed'))  # the draw of the official run
    return model.loss(dict(views=[golden['images'].to(model.head.matrix.dtype)]))


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden/maskalign_loss.npz'))


def test_start_values(golden):
    model = build(golden)
    model.backbone.pos_embed.zero_()
    model.backbone.init_weights()
    model.head.init_weights()
    assert torch.equal(model.head.matrix, golden['init_alignment_matrix'])
    assert_close(model.backbone.pos_embed, golden['pos_embed_sincos'])


def test_masking(golden):
    model = build(golden)
    importance = model.teacher.importance
    assert_close(importance, golden['importance'])
    order = attentive_order(importance, golden['exponential_noise'])
    assert torch.equal(order, golden['sampled_permutation'])
    torch.manual_seed(golden.number('torch_seed'))
    assert torch.equal(model.kept_patches(importance), golden['ids_keep'])


def test_hidden_states_alignment_and_losses_of_every_layer(golden):
    model, keep = build(golden, 'mean'), golden['ids_keep']
    hidden = model.backbone.hidden_states(golden['images'], keep=keep)
    assert_close(torch.stack(hidden), golden['student_hidden'], 1e-4)
    aligned = model.head(list(golden['student_hidden']))
    assert_close(torch.stack(aligned), golden['student_aligned'])
    tokens = torch.cat((keep.new_zeros(len(keep), 1), keep + 1), dim=1)
    teacher = tuple(golden['teacher_hidden'][1:])
    targets = torch.stack(model.targets(teacher, tokens))
    assert_close(targets, golden['teacher_target'])
    each = model.layer_losses(list(golden['student_aligned']), teacher, keep)
    assert_close(torch.stack(each), golden['loss_per_layer'])
    assert_close(
        alignment_loss(golden['student_aligned'], targets).mean((1, 2)), golden['loss_per_layer']
    )


def test_loss(golden):
    rules = [
        name
        for name, value in golden.sub('loss_').items()
        if value.ndim == 0 and not name.endswith('_f64')
    ]
    assert len(rules) > 1
    for layers in rules:
        got = losses(build(golden, layers), golden)['loss_align']
        assert_close(got, golden[f'loss_{layers}'], what=layers)


def test_loss_in_double_precision(golden):
    got = losses(build(golden, dtype=torch.float64), golden)['loss_align']
    assert_close(got, golden['loss_top5_f64'], 1e-6)


def test_gradients(golden):
    model = build(golden)
    losses(model, golden)['loss_align'].backward()
    assert_close(model.head.matrix.grad, golden['grad_alignment_matrix'], 1e-4)
    assert_close(model.head.linears[-1].weight.grad, golden['grad_head_last'], 1e-4)
    assert not golden['grad_head_first'].any()
    for index, linear in enumerate(model.head.linears):
        assert linear.weight.requires_grad == (index in model.layers)
        assert (linear.weight.grad is not None) == (index in model.layers)


def test_the_whole_image_without_dropping(golden):
    model = build(golden)
    last = model.backbone.hidden_states(golden['images'], keep=golden['full_ids'])[-1]
    assert_close(last, golden['full_student_hidden_last'], 1e-4)
    # The branch sees the patches in the order of the grid.
    states, _ = model.dense_features(golden['images'])
    rows = torch.arange(len(last))[:, None]
    assert_close(
        states[-1][rows, golden['full_ids']], golden['full_student_hidden_last'][:, 1:], 1e-4
    )


def test_weights_of_the_layers_add_up_to_one():
    for layers in ('top5', 'top3', 'mean', 'out', 'linear_decay'):
        assert sum(layer_weights(layers, 12)) == pytest.approx(1)
