"""What is more than a name: tensors that a scheme splits, merges, adds or leaves out.

Read by :func:`gathered` into the whole tensors that :mod:`mmdssl.conversion.key_maps` names,
written by :func:`scattered`. DINOv2 and DINOv3 differ in it from their forms in transformers
(``hf2``, ``hf3``) and timm (``timm``, ``timm3``), and these from each other.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ['Gathered', 'exact_periods', 'gathered', 'scattered']

_LEAVES = ('weight', 'bias')
_ROPE_BASE, _HEAD = 100.0, 64  # of every published DINOv3 up to H+; other files do not say it


@dataclass
class Gathered:
    """Whole tensors of a file.

    Attributes:
        state: Tensors under the names of the table.
        notes: Sentences on what the file did not hold and what stands for it.
        faults: Sentences on what makes it unusable.
    """

    state: dict[str, Tensor]
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def exact_periods(head_dims: int) -> Tensor:
    """(d / 4,) float32: the periods of DINOv3's rotary positions for heads of d channels."""
    count = head_dims // 4
    return (_ROPE_BASE ** (torch.arange(count, dtype=torch.float64) / count)).float()


def gathered(state: Mapping[str, Tensor], dialect: str) -> Gathered:
    """Whole tensors of a network in a file.

    Args:
        state: Its tensors under the names of the file, without any prefix.
        dialect: Of :mod:`mmdssl.conversion.key_maps`.
    """
    result = Gathered(dict(state))
    rules: dict[str, Callable[[Gathered], None]] = {
        'hf2': _read_hf2,
        'hf3': _read_hf3,
        'dinov3': _read_dinov3,
        'timm': _read_timm,
        'timm3': _read_timm3,
    }
    if dialect in rules:
        rules[dialect](result)
    return result


def scattered(state: Mapping[str, Tensor], dialect: str) -> dict[str, Tensor]:
    """The tensors of a file.

    Args:
        state: Whole tensors under the names of the table.
        dialect: Of :mod:`mmdssl.conversion.key_maps`.

    Raises:
        ValueError: If the scheme has no form for this network.
    """
    own = dict(state)
    rules: dict[str, Callable[[dict[str, Tensor]], None]] = {
        'hf2': lambda own: _split_each(own, _HF2_QKV, 3),
        'hf3': _write_hf3,
        'dinov3': _write_dinov3,
        'timm': _write_timm,
        'timm3': _write_timm3,
    }
    if dialect in rules:
        rules[dialect](own)
    return own


# ---- splitting and merging

# Block prefix and the parts of a whole tensor, {} for weight or bias.
_HF2_QKV = (
    'attention.attention.qkv',
    tuple(f'attention.attention.{part}' for part in ('query', 'key', 'value')),
)
_HF3_QKV = ('attention.qkv', tuple(f'attention.{part}_proj' for part in 'qkv'))
_Parts = tuple[str, tuple[str, ...]]


def _blocks(names: Iterable[str], ending: str) -> list[str]:
    """Prefixes, like ``'blocks.3.'``, of the blocks that have a part."""
    pattern = re.compile(rf'((?:.+\.)?\d+\.){re.escape(ending)}')
    found = (pattern.fullmatch(name) for name in names)
    return list(dict.fromkeys(match[1] for match in found if match))


def _merge_each(own: dict[str, Tensor], rule: _Parts) -> None:
    """Parts of every block become one tensor, rows one below the other."""
    whole, parts = rule
    for leaf in _LEAVES:
        for block in _blocks(own, f'{parts[0]}.{leaf}'):
            names = [f'{block}{part}.{leaf}' for part in parts]
            if all(name in own for name in names):
                own[f'{block}{whole}.{leaf}'] = torch.cat([own.pop(name) for name in names])


def _split_each(own: dict[str, Tensor], rule: _Parts, count: int) -> None:
    whole, parts = rule
    for leaf in _LEAVES:
        for block in _blocks(own, f'{whole}.{leaf}'):
            chunks = own.pop(f'{block}{whole}.{leaf}').chunk(count)
            own.update(zip((f'{block}{part}.{leaf}' for part in parts), chunks, strict=True))


def _rename_each(own: dict[str, Tensor], before: str, after: str, only: Iterable[str] = ()) -> None:
    """A part of every block (or of ``only`` these) gets another name."""
    wanted = set(only)
    for leaf in _LEAVES:
        for block in _blocks(own, f'{before}.{leaf}'):
            if not wanted or block in wanted:
                own[f'{block}{after}.{leaf}'] = own.pop(f'{block}{before}.{leaf}')


# ---- transformers


def _read_hf2(result: Gathered) -> None:
    own = result.state
    for part in ('query', 'key', 'value'):  # transformers 5 in memory
        _rename_each(own, f'attention.{part[0]}_proj', f'attention.attention.{part}')
    _rename_each(own, 'attention.o_proj', 'attention.output.dense')
    _merge_each(own, _HF2_QKV)
    _merge_each(own, ('mlp.weights_in', ('mlp.gate_proj', 'mlp.up_proj')))
    _rename_each(own, 'mlp.down_proj', 'mlp.weights_out')


def _read_hf3(result: Gathered) -> None:
    own = result.state
    for name in list(own):  # transformers 5 in memory
        if name.startswith(('model.layer.', 'model.stages.')):
            own[name.removeprefix('model.')] = own.pop(name)
    for block in _blocks(own, 'attention.q_proj.bias'):
        key = f'{block}attention.k_proj.bias'  # masked: the published networks have none
        own.setdefault(key, torch.zeros_like(own[f'{block}attention.q_proj.bias']))
    _merge_each(own, _HF3_QKV)
    gated = _blocks(own, 'mlp.gate_proj.weight')
    _merge_each(own, ('mlp.w12', ('mlp.gate_proj', 'mlp.up_proj')))
    if gated:
        _rename_each(own, 'mlp.down_proj', 'mlp.w3', gated)


def _write_hf3(own: dict[str, Tensor]) -> None:
    _split_each(own, _HF3_QKV, 3)
    for block in _blocks(own, 'attention.k_proj.bias'):
        del own[f'{block}attention.k_proj.bias']  # has no part, whatever it holds
    _rename_each(own, 'mlp.w3', 'mlp.down_proj')
    _split_each(own, ('mlp.w12', ('mlp.gate_proj', 'mlp.up_proj')), 2)


# ---- DINOv3's own


def _read_dinov3(result: Gathered) -> None:
    own = result.state
    for block in _blocks(own, 'attn.qkv.bias_mask'):
        mask = own.pop(f'{block}attn.qkv.bias_mask').float()
        wanted = torch.ones_like(mask)
        wanted[len(mask) // 3 : 2 * (len(mask) // 3)] = 0
        if not torch.equal(mask, wanted):
            holds = 'NaN' if bool(mask.isnan().any()) else 'another pattern than 1, 0, 1'
            result.faults.append(
                f'{block}attn.qkv.bias_mask holds {holds}: the mask leaves out the bias of the '
                'keys, so the file was saved from a network that was never initialised or is of '
                'another kind'
            )
            break
    _merge_each(own, ('mlp.w12', ('mlp.w1', 'mlp.w2')))
    for leaf in _LEAVES:  # the ConvNeXts hold their last norm twice
        again = own.get(f'norms.3.{leaf}')
        if again is not None and torch.equal(again, own.get(f'norm.{leaf}', again + 1)):
            del own[f'norms.3.{leaf}']


def _write_dinov3(own: dict[str, Tensor]) -> None:
    width = own['cls_token'].shape[-1] if 'cls_token' in own else 0
    if width and 'rope_embed.periods' not in own:
        if width % _HEAD:
            raise ValueError(
                f'the file does not say how wide the heads are (width {width}, no rope.periods), '
                'which a file of DINOv3 depends on: export a checkpoint of a run instead'
            )
        own['rope_embed.periods'] = exact_periods(_HEAD)
    _split_each(own, ('mlp.w12', ('mlp.w1', 'mlp.w2')), 2)
    for block in _blocks(own, 'attn.qkv.bias'):
        query, key, value = torch.ones_like(own[f'{block}attn.qkv.bias']).chunk(3)
        own[f'{block}attn.qkv.bias_mask'] = torch.cat((query, torch.zeros_like(key), value))
    if 'downsample_layers.0.0.weight' in own:
        own.update({f'norms.3.{leaf}': own[f'norm.{leaf}'].clone() for leaf in _LEAVES})


# ---- timm


def _read_timm(result: Gathered) -> None:
    own = result.state
    for block in _blocks(own, 'mlp.fc1.weight'):
        first, second = own[f'{block}mlp.fc1.weight'], own.get(f'{block}mlp.fc2.weight')
        if second is not None and len(first) == 2 * second.shape[-1]:  # gate and value in one
            _rename_each(own, 'mlp.fc1', 'mlp.w12', [block])
            _rename_each(own, 'mlp.fc2', 'mlp.w3', [block])
    table = own.get('pos_embed')
    if 'reg_token' in own and table is not None and table.ndim == 3:
        side = round(table.shape[1] ** 0.5)
        if side**2 == table.shape[1]:  # the row of CLS is added to the token there
            own['pos_embed'] = torch.cat((torch.zeros_like(table[:, :1]), table), dim=1)
        else:
            result.faults.append(
                f'it has a reg_token and a position table of {table.shape[1]} rows, and networks '
                'of timm with registers have a row for each patch of a square grid alone'
            )


def _write_timm(own: dict[str, Tensor]) -> None:
    _rename_each(own, 'mlp.w12', 'mlp.fc1')
    _rename_each(own, 'mlp.w3', 'mlp.fc2')
    if 'reg_token' in own:
        table = own['pos_embed']
        own['cls_token'] = own['cls_token'] + table[:, :1]
        own['pos_embed'] = table[:, 1:].contiguous()


def _read_timm3(result: Gathered) -> None:
    own = result.state
    for block in _blocks(own, 'attn.qkv.weight'):
        query, value = (own.pop(f'{block}attn.{one}_bias', None) for one in 'qv')
        if query is None or value is None:
            rows = own[f'{block}attn.qkv.weight'].new_zeros(len(own[f'{block}attn.qkv.weight']))
            own.setdefault(f'{block}attn.qkv.bias', rows)
            note = 'the file has no bias of queries and values: zeros stand for it'
            if note not in result.notes:
                result.notes.append(note)
        else:
            own[f'{block}attn.qkv.bias'] = torch.cat((query, torch.zeros_like(query), value))
    gated = _blocks(own, 'mlp.fc1_g.weight')
    _merge_each(own, ('mlp.w12', ('mlp.fc1_g', 'mlp.fc1_x')))
    if gated:
        _rename_each(own, 'mlp.fc2', 'mlp.w3', gated)


def _write_timm3(own: dict[str, Tensor]) -> None:
    for block in _blocks(own, 'attn.qkv.bias'):
        query, _, value = own.pop(f'{block}attn.qkv.bias').chunk(3)
        own |= {f'{block}attn.q_bias': query, f'{block}attn.v_bias': value}
    _rename_each(own, 'mlp.w3', 'mlp.fc2')
    _split_each(own, ('mlp.w12', ('mlp.fc1_g', 'mlp.fc1_x')), 2)
