"""Small backbones with known weights, and a ViT under the names of timm and DINO."""

import torch
from mmpretrain.models.backbones import ConvNeXt, ResNet
from torch import Tensor, nn

from mmdssl.models.backbones.dense_vit import DenseViT

VIT = dict(
    arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48),
    img_size=32,
    patch_size=8,
)


def shaken(net: nn.Module, seed: int = 0) -> nn.Module:
    """Every tensor of the state random (variances positive), so that a mix-up shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith('num_batches_tracked'):
                value.fill_(7)
            elif name.endswith(('running_var', 'bn1.weight', 'bn2.weight', 'bn3.weight')):
                value.uniform_(0.5, 1.5, generator=generator)
            else:
                scale = 0.1 if value.ndim < 2 else value[0].numel() ** -0.5
                value.normal_(0, scale, generator=generator)
    net.eval()  # of mmpretrain: returns nothing
    return net


def vit(**kwargs) -> DenseViT:
    """Width 24, depth 2, 4x4 patches of 8 px."""
    return shaken(DenseViT(**{**VIT, **kwargs}))


DINO = dict(layer_scale_init_value=1e-5, registers=4)


def dinov2(**kwargs) -> DenseViT:
    """The same with registers and LayerScale."""
    return vit(**{**DINO, **kwargs})


def dinov3(**kwargs) -> DenseViT:
    """The same with rotary positions and a gated MLP; heads of 8 channels."""
    net = DenseViT(**{**VIT, **DINO, 'rope': dict(), 'ffn': 'gated', **kwargs})
    periods = net.rope.periods.clone()
    shaken(net).rope.periods.copy_(periods)  # a constant
    return net


def convnext() -> ConvNeXt:
    """mmpretrain's, four narrow stages."""
    arch = dict(depths=[1, 1, 2, 1], channels=[8, 16, 24, 32])
    return shaken(ConvNeXt(arch=arch))


def resnet(depth: int, width: int = 8, **kwargs) -> ResNet:
    """mmpretrain's, ``width`` channels after the stem."""
    return shaken(ResNet(depth=depth, stem_channels=width, base_channels=width, **kwargs))


class PlainViT(nn.Module):
    """The pre-norm ViT of DINO, iBOT and timm under their parameter names; heads of 8 channels."""

    def __init__(self, width: int, depth: int, hidden: int, heads: int, patch: int, tokens: int):
        super().__init__()
        self.heads = heads
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width))
        self.patch_embed = nn.ModuleDict(dict(proj=nn.Conv2d(3, width, patch, patch)))
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                dict(
                    norm1=nn.LayerNorm(width, eps=1e-6),
                    attn=nn.ModuleDict(
                        dict(qkv=nn.Linear(width, 3 * width), proj=nn.Linear(width, width))
                    ),
                    norm2=nn.LayerNorm(width, eps=1e-6),
                    mlp=nn.ModuleDict(
                        dict(fc1=nn.Linear(width, hidden), fc2=nn.Linear(hidden, width))
                    ),
                )
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, T, C) after the final norm."""
        x = self.patch_embed['proj'](images).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), 1) + self.pos_embed
        for block in self.blocks:
            # (N, T, 3C) -> (3, N, heads, T, C/heads)
            qkv = block['attn']['qkv'](block['norm1'](x)).unflatten(-1, (3, self.heads, -1))
            query, key, value = qkv.permute(2, 0, 3, 1, 4)
            weights = (query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5).softmax(-1)
            x = x + block['attn']['proj']((weights @ value).transpose(1, 2).flatten(2))
            hidden = torch.nn.functional.gelu(block['mlp']['fc1'](block['norm2'](x)))
            x = x + block['mlp']['fc2'](hidden)
        return self.norm(x)


def checkpoint(path, student: nn.Module, teacher: nn.Module, kept: str = 'student'):
    """A checkpoint as our runs write it, on ``path``."""
    state = {f'backbone.{name}': value for name, value in student.state_dict().items()}
    state |= {f'teacher.backbone.{n}': v for n, v in teacher.state_dict().items()}
    state |= {'neck.fc0.weight': torch.ones(2, 2), 'teacher.neck.fc0.weight': torch.ones(2, 2)}
    meta = dict(
        epoch=3,
        iter=150,
        seed=0,
        evaluated_backbone=kept,
        mmdssl_version='0.1.0',
        dataset_meta=dict(data_root='/home/someone/photos'),
        cfg="work_dir = '/home/someone/a'\nmodel = dict(backbone=dict(type='A'), type='DenseCL')",
    )
    torch.save(dict(meta=meta, state_dict=state, optimizer=dict(state={}), message_hub={}), path)
    return path
