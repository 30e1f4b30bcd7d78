"""DINOv2 and DINOv3 in every naming scheme: whole in and out, values by rule, or refused."""

import json

import pytest
import torch

from mmdssl.conversion.convert import export_backbone, import_weights
from mmdssl.conversion.files import write_weights
from tests.conversion.nets import checkpoint, convnext, dinov2, dinov3, vit
from tests.golden import Golden, assert_close
from tests.reference import find_reference

NETS = ['dinov2_plain', 'dinov2_reg', 'dinov2_swiglu', 'dinov3_mlp', 'dinov3_gated']
LIBRARIES = ('hf', 'timm')


def written(state, path, container=None):
    torch.save({container: state} if container else state, path)
    return path


def official(shared, name):
    return dict(Golden.load(shared(f'golden3/{name}.npz')).sub('state/'))


def ours(shared, name, folder):
    """The network under our names, from its official file."""
    return import_weights(written(official(shared, name), folder / 'official.pth'))


def equal(one, two):
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


def _masked(state):
    """Without the part of the key biases that never takes part, and without periods."""
    result = {name: value for name, value in state.items() if not name.endswith('rope.periods')}
    if len(result) == len(state):
        return result
    for name, value in result.items():
        if name.endswith('qkv.bias'):
            query, key, last = value.chunk(3)
            result[name] = torch.cat((query, 0 * key, last))
    return result


@pytest.mark.golden
@pytest.mark.parametrize('net', NETS)
def test_every_scheme_of_the_list_is_recognised_and_gives_the_same(shared, tmp_path, net):
    """Shapes and names of the list, values from the official file."""
    schemes = json.loads(shared('golden3/naming.json').read_text())
    state = official(shared, net)
    seen = set()
    for key, scheme in schemes.items():
        of, _, kind = key.partition('/')
        if of != net:
            continue
        if any(entry['official'] for entry in scheme['tensors']):
            tensors = {
                entry['name']: state[entry['official']].reshape(entry['shape'])
                if entry['official']
                else torch.ones(entry['shape'])
                for entry in scheme['tensors']
            }
        else:  # the values of libraries are in files of their own, which do not travel
            if find_reference(f'golden3/{kind}_{net}.npz') is None:
                continue
            tensors = dict(Golden.load(shared(f'golden3/{kind}_{net}.npz')).sub('state/'))
            assert {name: list(value.shape) for name, value in tensors.items()} == {
                entry['name']: entry['shape'] for entry in scheme['tensors']
            }
        if kind == 'mmpretrain':
            tensors = {f'backbone.{name}': value for name, value in tensors.items()}
        path = written(tensors, tmp_path / 'theirs.pth', scheme['container'])
        result = import_weights(path)
        assert result.coverage == 1, key
        assert not result.faults, key
        want = ours(shared, net, tmp_path).state
        got = result.state
        if kind in LIBRARIES:
            want, got = _masked(want), _masked(got)
        if kind == 'timm' and 'register' in ''.join(want):
            want = {name: value for name, value in want.items() if 'mask_token' not in name}
            if 'backbone.pos_embed' in want:  # the row of CLS is in its token there
                for each in (want, got):
                    table = each.pop('backbone.pos_embed')
                    token = each.pop('backbone.cls_token') + table[:, :1]
                    each |= {'sum': token, 'rows': table[:, 1:]}
        want = {name: value for name, value in want.items() if name in got}
        assert {*got} - {*want} <= {'backbone.mask_token'}, key
        for name, value in want.items():
            assert_close(got[name], value, 1e-6, f'{key} {name}')
        seen.add(kind)
    assert {'hub', 'train_teacher'} <= seen


@pytest.mark.golden
@pytest.mark.parametrize('net', NETS)
def test_an_official_file_comes_back_as_it_was(shared, tmp_path, net):
    state = official(shared, net)
    result = ours(shared, net, tmp_path)
    write_weights(result.state, result.meta, tmp_path / 'ours.pth')
    back = export_backbone(tmp_path / 'ours.pth', to=net[:6])
    assert back.coverage == 1
    equal(back.state, state)


@pytest.mark.golden
@pytest.mark.parametrize('library', LIBRARIES)
@pytest.mark.parametrize('net', NETS)
def test_files_of_libraries_go_in_and_out(shared, tmp_path, net, library):
    golden = Golden.load(shared(f'golden3/{library}_{net}.npz'))
    theirs = dict(golden.sub('state/'))
    result = import_weights(written(theirs, tmp_path / 'theirs.pth'), source=library)
    assert result.coverage == 1
    write_weights(result.state, result.meta, tmp_path / 'ours.pth')
    equal(export_backbone(tmp_path / 'ours.pth', to=library).state, theirs)
    # From the official file comes the same, whatever its key biases hold.
    other = ours(shared, net, tmp_path)
    write_weights(other.state, other.meta, tmp_path / 'ours.pth')
    exported = export_backbone(tmp_path / 'ours.pth', to=library)
    equal(exported.state, theirs)
    write_weights(exported.state, exported.meta, tmp_path / 'there.safetensors')
    assert import_weights(tmp_path / 'there.safetensors').meta['architecture']


@pytest.mark.golden
@pytest.mark.parametrize('net', NETS)
def test_names_of_transformers_5_in_memory_are_read(shared, tmp_path, net):
    golden = Golden.load(shared(f'golden3/hf_{net}.npz'))
    file = dict(golden.sub('state/'))
    pairs = zip(
        golden.strings('names_v5_in_memory'),
        golden.strings('names_v5_file_equivalent'),
        strict=True,
    )
    memory = {}
    for name, same in pairs:
        if same:
            memory[name] = file[same]
        else:  # weights_in, in two
            part = 'gate_proj' if 'gate_proj' in name else 'up_proj'
            whole = file[name.replace(part, 'weights_in')]
            memory[name] = whole.chunk(2)[part == 'up_proj']
    got = import_weights(written(memory, tmp_path / 'memory.pth'), source='hf')
    want = import_weights(written(file, tmp_path / 'file.pth'), source='hf')
    assert got.coverage == 1
    equal(got.state, want.state)


@pytest.mark.golden
@pytest.mark.parametrize('net', ['dinov2_plain', 'dinov2_reg', 'dinov2_swiglu'])
def test_blocks_in_chunks_are_counted_through(shared, tmp_path, net):
    golden = Golden.load(shared(f'golden3/{net}.npz'))
    state = dict(golden.sub('state/'))
    names = zip(
        golden.strings('names_chunked'), golden.strings('names_chunked_official'), strict=True
    )
    chunked = {name: state[plain] for name, plain in names}
    result = import_weights(written(chunked, tmp_path / 'chunked.pth'))
    equal(result.state, ours(shared, net, tmp_path).state)


@pytest.mark.golden
@pytest.mark.parametrize('net', ['dinov3_mlp', 'dinov3_gated'])
def test_timms_form_without_biases_has_zeros(shared, tmp_path, net):
    golden = Golden.load(shared(f'golden3/timm_{net}.npz'))
    kept = set(golden.strings('names_without_qkv_bias'))
    state = {name: value for name, value in golden.sub('state/').items() if name in kept}
    result = import_weights(written(state, tmp_path / 'theirs.pth'))
    assert result.coverage == 1
    assert any('no bias of queries and values' in note for note in result.notes)
    assert not result.state['backbone.layers.0.attn.qkv.bias'].any()


@pytest.mark.golden
def test_convnexts_of_dinov3_in_all_schemes(shared, tmp_path):
    golden = Golden.load(shared('golden3/dinov3_convnext.npz'))
    state = dict(golden.sub('state/'))
    result = import_weights(written(state, tmp_path / 'official.pth'))
    assert result.coverage == 1
    assert result.meta['weights_origin'] == 'DINOv3'
    write_weights(result.state, result.meta, tmp_path / 'ours.pth')
    equal(export_backbone(tmp_path / 'ours.pth', to='dinov3').state, state)
    timm = dict(
        zip(golden.strings('names_timm'), golden.strings('names_timm_official'), strict=True)
    )
    wanted = {name: state[theirs] for name, theirs in timm.items()}
    equal(export_backbone(tmp_path / 'ours.pth', to='timm').state, wanted)
    pairs = (entry.split(' -> ') for entry in golden.strings('names_official_to_hf_file'))
    hf = {there: state[name] for name, there in pairs if there != 'None'}
    equal(export_backbone(tmp_path / 'ours.pth', to='hf').state, hf)
    memory = {
        f'model.{name}' if name.startswith('stages') else name: value for name, value in hf.items()
    }
    assert set(memory) == set(golden.strings('names_hf_v5_in_memory'))
    for kind, tensors in (('timm', wanted), ('hf', hf), ('hf', memory)):
        path = written(tensors, tmp_path / 'theirs.pth')
        equal(import_weights(path, source=kind).state, result.state)


def run_of(net, folder, **meta):
    path = checkpoint(folder / 'run.pth', net, net)
    content = torch.load(path, weights_only=True)
    content['meta'] |= meta
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ('net', 'to'),
    [
        (dinov2, 'dinov2'),
        (dinov2, 'hf'),
        (dinov3, 'dinov3'),
        (dinov3, 'hf'),
        (dinov3, 'timm'),
        (lambda: dinov2(registers=0, ffn='gated'), 'timm'),
        (convnext, 'dinov3'),
        (convnext, 'hf'),
        (convnext, 'timm'),
    ],
)
def test_a_run_goes_out_and_is_recognised(net, to, tmp_path):
    trained = net()
    result = export_backbone(run_of(trained, tmp_path), to=to)
    assert result.coverage == 1
    write_weights(result.state, result.meta, tmp_path / 'x.safetensors')
    back = import_weights(tmp_path / 'x.safetensors')
    want = {f'backbone.{name}': value for name, value in trained.state_dict().items()}
    got = {n: v for n, v in _masked(back.state).items() if 'mask_token' not in n}
    want = {n: v for n, v in _masked(want).items() if 'mask_token' not in n}
    assert got.keys() == want.keys()
    for name, value in want.items():
        if to == 'dinov3' or not name.endswith('qkv.bias'):
            assert torch.equal(got[name], value), name


def test_licence_and_origin_stay_with_the_weights(tmp_path):
    state = export_backbone(run_of(dinov3(), tmp_path), to='dinov3').state
    first = import_weights(written(state, tmp_path / 'theirs.pth'))
    assert first.meta['weights_origin'] == 'DINOv3'
    assert 'DINOv3 License' in first.meta['licence']
    assert any(note.startswith('licence: DINOv3 License') for note in first.notes)
    write_weights(first.state, first.meta, tmp_path / 'ours.safetensors')
    for to in ('dinov3', 'hf', 'timm', 'mmseg'):
        result = export_backbone(tmp_path / 'ours.safetensors', to=to)
        assert result.meta['weights_origin'] == 'DINOv3'
        assert f'licence: {first.meta["licence"]}' in result.notes


def test_the_rule_of_the_table_is_that_of_the_weights(tmp_path):
    for registers, rule in ((0, 'factor'), (4, 'antialias')):
        net = dinov2(registers=registers)
        state = export_backbone(run_of(net, tmp_path), to='hf').state
        result = import_weights(written(state, tmp_path / 'theirs.pth'))
        assert result.meta['pos_rule'] == rule
        write_weights(result.state, result.meta, tmp_path / 'ours.pth')
        resized = export_backbone(tmp_path / 'ours.pth', to='mmseg', image_size=(64, 64))
        images = torch.zeros(1, 3, 64, 64)
        tokens = net.embed(images)[0]
        got = resized.state['backbone.pos_embed'][:, 1:] + net.patch_embed(images)[0]
        assert_close(got, tokens[:, 1 + registers :])


def test_exports_say_what_the_library_does_differently(tmp_path):
    plain = export_backbone(run_of(dinov2(registers=0), tmp_path), to='hf')
    assert 'resampled there by another rule' in ' '.join(plain.notes)
    assert not export_backbone(run_of(dinov2(), tmp_path), to='hf').notes
    rounded = dinov3()
    assert not export_backbone(run_of(rounded, tmp_path), to='timm').notes
    rounded.rope.periods *= 1 + 2**-8  # a step of bfloat16
    assert 'periods are not the exact' in ' '.join(
        export_backbone(run_of(rounded, tmp_path), to='timm').notes
    )


def test_a_mask_of_nan_and_an_unknown_scheme_are_refused(tmp_path):
    state = export_backbone(run_of(dinov3(), tmp_path), to='dinov3').state
    broken = dict(state)
    broken['blocks.0.attn.qkv.bias_mask'] = torch.full((72,), torch.nan)
    (fault,) = import_weights(written(broken, tmp_path / 'x.pth'), source='dinov3').faults
    assert 'bias_mask holds NaN' in fault
    with pytest.raises(ValueError, match='of no scheme that is known here'):
        import_weights(written({'encoder.h.0.w': torch.ones(2)}, tmp_path / 'x.pth'))
    few = dict(list(state.items())[: len(state) // 2])
    with pytest.raises(ValueError, match='of no scheme that is known here'):
        import_weights(written(few, tmp_path / 'x.pth'))
    assert import_weights(written(few, tmp_path / 'x.pth'), source='dinov3').coverage < 0.95


def test_wrappers_leave_the_network_as_it_is(tmp_path):
    state = export_backbone(run_of(dinov3(), tmp_path), to='dinov3').state
    want = import_weights(written(state, tmp_path / 'x.pth'))
    heads = {'dino_head.last_layer.weight': torch.ones(2, 2), 'ibot_head.mlp.0.bias': torch.ones(2)}
    teacher = {f'backbone.{name}': value for name, value in state.items()}
    forms = {
        'Lightning': {'state_dict': {f'model.{name}': v for name, v in state.items()}},
        'DDP and compile': {f'module._orig_mod.{name}': v for name, v in state.items()},
        'FSDP': {n.replace('attn.', '_fsdp_wrapped_module.attn.'): v for n, v in state.items()},
        'training': {'teacher': teacher | heads, 'iteration': 3},
    }
    for name, content in forms.items():
        torch.save(content, tmp_path / 'x.pth')
        got = import_weights(tmp_path / 'x.pth')
        assert got.coverage == 1, name
        equal(got.state, want.state)


def test_the_norm_of_local_crops_is_kept_for_further_training_alone(tmp_path):
    net = dinov3(local_cls_norm=True)
    state = export_backbone(run_of(net, tmp_path), to='dinov3').state
    assert torch.equal(state['local_cls_norm.weight'], net.local_cls_norm.weight)
    got = import_weights(written(state, tmp_path / 'x.pth'))
    assert got.coverage == 1
    assert torch.equal(got.state['backbone.local_cls_norm.bias'], net.local_cls_norm.bias)
    for library in ('hf', 'timm', 'mmpretrain'):  # measured there: no features depend on it
        result = export_backbone(run_of(net, tmp_path), to=library)
        assert result.coverage == 1
        assert not any('local' in name for name in result.state)


def test_shards_are_named(tmp_path):
    flat = {'backbone.blocks.0._fsdp_wrapped_module._flat_param': torch.ones(9)}
    with pytest.raises(ValueError, match='shard of one process of a training with FSDP'):
        import_weights(written(flat, tmp_path / 'rank0.pth', 'teacher'))
    part = written({'a': torch.ones(1)}, tmp_path / 'model-00001-of-00003.safetensors')
    with pytest.raises(ValueError, match='is part 1 of 3 of a network: join'):
        import_weights(part)
    folder = tmp_path / 'sharded'
    folder.mkdir()
    (folder / '.metadata').write_bytes(b'')
    (folder / '__0_0.distcp').write_bytes(b'')
    for path in (folder, folder / '__0_0.distcp'):
        with pytest.raises(ValueError, match=r'sharded is a folder of torch\.distributed.*dcp_to'):
            import_weights(path)


def test_a_plain_vit_of_dino_is_ambiguous_only_where_results_differ(tmp_path):
    state = export_backbone(run_of(vit(), tmp_path), to='timm').state
    assert import_weights(written(state, tmp_path / 'x.pth')).coverage == 1
    heads = {'head.mlp.0.weight': torch.ones(2, 2), 'head.mlp.0.bias': torch.ones(2)}
    network = {f'backbone.{name}': value for name, value in state.items()} | heads
    torch.save(dict(student=network, teacher=network), tmp_path / 'x.pth')
    result = import_weights(tmp_path / 'x.pth', source='ibot')
    assert 'head.mlp.0.weight' in result.state
