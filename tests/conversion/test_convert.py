"""Exports and imports as a whole: which network, complete or refused, equal to the last bit."""

import argparse

import pytest
import torch
from safetensors.torch import save_file

from mmdssl.conversion.convert import export_backbone, import_weights
from mmdssl.conversion.files import write_weights
from mmdssl.conversion.formats import FORMATS
from tests.conversion.nets import PlainViT, checkpoint, dinov3, resnet, shaken, vit
from tests.golden import Golden, assert_close

NETS = {'vit': vit, 'resnet18': lambda: resnet(18), 'resnet50': lambda: resnet(50)}
# For which all of these networks have names; the others: test_dino.py.
TARGETS = [
    name
    for name, form in FORMATS.items()
    if form.prefix is not None and name not in ('dinov2', 'dinov3', 'hf')
]


@pytest.fixture(scope='module', params=list(NETS))
def run(request, tmp_path_factory):
    """A checkpoint of a run with different student and teacher; the method keeps the student."""
    student, teacher = NETS[request.param](), shaken(NETS[request.param](), 1)
    path = tmp_path_factory.mktemp('run') / 'iter_150.pth'
    return checkpoint(path, student, teacher), student.state_dict(), teacher.state_dict()


def equal(one: dict, two: dict) -> bool:
    return {*one} == {*two} and all(torch.equal(value, two[name]) for name, value in one.items())


def without_mask_token(state: dict) -> dict:
    return {name: value for name, value in state.items() if name != 'mask_token'}


@pytest.mark.parametrize('to', TARGETS)
@pytest.mark.parametrize('ending', ['.pth', '.safetensors'])
def test_exported_and_imported_again_is_bit_equal(run, to, ending, tmp_path):
    path, student, _ = run
    there = export_backbone(path, to=to)
    assert there.coverage == 1
    file = tmp_path / f'x{ending}'
    write_weights(there.state, there.meta, file)
    back = import_weights(file, source=to)
    assert back.coverage == 1
    assert equal(back.state, {f'backbone.{n}': v for n, v in without_mask_token(student).items()})
    assert back.meta['method'] == 'DenseCL'
    write_weights(back.state, back.meta, file)
    assert equal(export_backbone(file, to=to).state, there.state)


def test_what_chooses_the_network_and_auto_the_one_that_the_method_keeps(run):
    path, student, teacher = run
    for what, state in (('auto', student), ('student', student), ('teacher', teacher)):
        result = export_backbone(path, to='mmpretrain', what=what)
        names = {f'backbone.{n}': v for n, v in without_mask_token(state).items()}
        assert equal(result.state, names)
        assert result.meta['network'] == ('teacher' if what == 'teacher' else 'student')


def test_meta_says_the_origin_and_holds_no_path(run):
    path, *_ = run
    meta = export_backbone(path, to='timm').meta
    assert meta['method'] == 'DenseCL'
    assert len(meta['config_sha256']) == 64
    assert (meta['epoch'], meta['iter'], meta['mmdssl_version']) == (3, 150, '0.1.0')
    assert 'torch' in meta['converted_with']
    assert 'someone' not in str(meta)


def test_c4_puts_layer4_into_the_shared_head(tmp_path):
    net = resnet(50)
    path = checkpoint(tmp_path / 'run.pth', net, net)
    result = export_backbone(path, to='mmdet', c4=True)
    assert result.coverage == 1
    for name, value in net.state_dict().items():
        place = 'roi_head.shared_head.' if name.startswith('layer4.') else 'backbone.'
        assert torch.equal(result.state[place + name], value)
    assert len(result.state) == len(net.state_dict())
    write_weights(result.state, result.meta, tmp_path / 'c4.pth')
    back = import_weights(tmp_path / 'c4.pth', source='mmdet')
    assert equal(back.state, {f'backbone.{n}': v for n, v in net.state_dict().items()})


def test_c4_is_refused_for_what_has_no_layer4_there(run):
    path, *_ = run
    with pytest.raises(ValueError, match='--c4 is for a ResNet in mmdet'):
        export_backbone(path, to='mmseg', c4=True)


def official(source: str, state: dict) -> dict:
    """A ResNet as the code of ``source`` saves it, with all that stands beside it."""
    other = {name: value + 1 for name, value in state.items()}
    classifier = {'fc.weight': torch.ones(3, 4), 'fc.bias': torch.ones(3)}

    def at(prefix: str, tensors: dict) -> dict:
        return {prefix + name: value for name, value in tensors.items()}

    if source == 'moco':
        model = at('module.encoder_q.', {**state, 'fc.0.weight': torch.ones(2, 2)})
        model |= at('module.encoder_k.', other) | {'module.queue': torch.ones(2, 8)}
        return dict(epoch=200, arch='resnet50', state_dict=model, optimizer=dict(state={}))
    if source == 'densecl':  # OpenSelfSup registers the encoder under a second name
        model = at('encoder_q.0.', state) | at('backbone.', state) | at('encoder_k.0.', other)
        return dict(
            meta=dict(epoch=800), state_dict=model | {'encoder_q.1.mlp.0.bias': torch.ones(2)}
        )
    if source == 'soco':
        model = at('module.encoder.', state) | at('module.encoder_k.', other)
        model |= at('module.projector.', {'linear1.bias': torch.ones(2)})
        return dict(opt=argparse.Namespace(lr=1.0), model=model, epoch=400)
    if source == 'dino':
        heads = {'head.mlp.0.weight': torch.ones(2, 2)}
        networks = (('student', 'module.backbone.', state), ('teacher', 'backbone.', other))
        return {n: at(p, s) | heads for n, p, s in networks} | dict(
            epoch=100, args=argparse.Namespace(arch='resnet50')
        )
    return {**state, **classifier}


@pytest.mark.parametrize('source', ['moco', 'densecl', 'soco', 'dino', 'timm', 'torchvision'])
@pytest.mark.parametrize('depth', [18, 50])
def test_files_of_other_code_give_the_trained_network(source, depth, tmp_path):
    state = resnet(depth).state_dict()
    path = tmp_path / 'official.pth'
    torch.save(official(source, state), path)
    result = import_weights(path, source=source)
    assert result.coverage == 1
    wanted = {f'backbone.{name}': value for name, value in state.items()}
    if source == 'dino':
        wanted |= {f'teacher.backbone.{name}': value + 1 for name, value in state.items()}
        assert result.meta['evaluated_backbone'] == 'teacher'
    assert equal(result.state, wanted)


def test_files_without_batchnorm_counters_are_complete(tmp_path):
    state = resnet(18).state_dict()
    old = {n: v for n, v in state.items() if not n.endswith('num_batches_tracked')}
    torch.save(old, tmp_path / 'old.pth')
    assert import_weights(tmp_path / 'old.pth', source='torchvision').coverage == 1


def test_wrong_from_names_the_right_one(tmp_path):
    path = tmp_path / 'official.pth'
    torch.save(official('moco', resnet(18).state_dict()), path)
    with pytest.raises(ValueError, match=r'not a file of soco.*with --from moco'):
        import_weights(path, source='soco')
    torch.save({'transformer.h.0.weight': torch.ones(3)}, path)
    with pytest.raises(ValueError, match='no other --from'):
        import_weights(path, source='timm')


def test_a_network_with_parts_that_no_rule_knows_is_short(tmp_path):
    state = export_backbone(
        checkpoint(tmp_path / 'run.pth', vit(), vit()), to='timm', what='student'
    ).state
    save_file({**state, 'blocks.0.ls3.gamma': torch.ones(24)}, tmp_path / 'x.safetensors')
    result = import_weights(tmp_path / 'x.safetensors', source='timm')
    assert result.reports[0].unexpected == ('blocks.0.ls3.gamma',)
    assert result.coverage < 1


def test_an_export_of_something_else_is_refused(tmp_path):
    torch.save(dict(state_dict={'backbone.w': torch.ones(2)}), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='no backbone of a known architecture'):
        export_backbone(tmp_path / 'x.pth', to='timm')


def test_other_networks_keep_their_names_for_openmmlab(tmp_path):
    from mmpretrain.models import MobileNetV2

    net = MobileNetV2(widen_factor=0.25)
    state = {f'backbone.{name}': value for name, value in net.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'run.pth')
    found = export_backbone(tmp_path / 'run.pth', to='mmdet')
    assert found.coverage == 1
    assert found.state.keys() == state.keys()
    assert all(torch.equal(found.state[name], value) for name, value in state.items())
    assert 'mmpretrain.NAME' in found.notes[0]
    with pytest.raises(ValueError, match='no backbone of a known architecture'):
        export_backbone(tmp_path / 'run.pth', to='timm')
    with pytest.raises(ValueError, match='no backbone of a known architecture'):
        export_backbone(tmp_path / 'run.pth', to='mmdet', c4=True)


def test_names_of_other_code_are_not_taken_for_a_network_of_openmmlab(tmp_path):
    foreign = {'backbone.blocks.0.attn.qkv.weight': torch.ones(6, 2)}
    torch.save(dict(state_dict=foreign), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='need import first'):
        export_backbone(tmp_path / 'x.pth', to='mmseg')


@pytest.mark.parametrize(
    ('net', 'to', 'words'),
    [
        (vit, 'dinov2', 'no LayerScale, which every DINOv2'),
        (vit, 'hf', 'no LayerScale'),
        (dinov3, 'dinov2', r'no position table \(pos_embed\)'),
        (dinov3, 'torchvision', 'no position table'),
        (lambda: vit(layer_scale_init_value=1.0), 'torchvision', 'no place for 4 of its tensors'),
        (lambda: vit(layer_scale_init_value=1.0), 'dinov3', 'no rotary positions'),
        (lambda: resnet(18), 'hf', 'a resnet, for which files of hf have no names'),
    ],
)
def test_an_export_to_a_scheme_without_names_for_it_is_refused(net, to, words, tmp_path):
    path = checkpoint(tmp_path / 'run.pth', net(), net())
    with pytest.raises(ValueError, match=words):
        export_backbone(path, to=to)


@pytest.mark.golden
def test_official_ibot_names_import_whole_and_export_as_they_were(shared, tmp_path):
    golden = Golden.load(shared('golden/ibot_vit.npz'))
    official_state = dict(golden.sub('state/'))
    torch.save(official_state, tmp_path / 'backbone.pth')
    result = import_weights(tmp_path / 'backbone.pth', source='ibot')
    assert result.coverage == 1
    write_weights(result.state, result.meta, tmp_path / 'ours.pth')
    again = export_backbone(tmp_path / 'ours.pth', to='timm')
    official_state.pop('masked_embed')  # timm has no place for it
    assert equal(again.state, official_state)


@pytest.mark.golden
def test_position_table_is_resampled_by_the_official_rule(shared, tmp_path):
    golden = Golden.load(shared('golden/ibot_vit.npz'))
    torch.save(dict(golden.sub('state/')), tmp_path / 'backbone.pth')
    result = import_weights(tmp_path / 'backbone.pth', source='ibot')
    write_weights(result.state, result.meta, tmp_path / 'ours.pth')
    height, width = golden['other_images'].shape[-2:]
    resized = export_backbone(tmp_path / 'ours.pth', to='mmseg', image_size=(height, width))
    assert_close(resized.state['backbone.pos_embed'], golden['other_pos_embed'])
    with pytest.raises(ValueError, match='no multiple of the patch size'):
        export_backbone(tmp_path / 'ours.pth', to='mmseg', image_size=(height, width + 1))


@pytest.mark.golden
def test_official_soco_checkpoint_is_complete(shared, tmp_path):
    golden = Golden.load(shared('golden/soco_loss.npz')).sub('full/state_before/')
    model = {f'module.{name}': value for name, value in golden.items()}
    torch.save(dict(model=model, opt=argparse.Namespace()), tmp_path / 'soco.pth')
    result = import_weights(tmp_path / 'soco.pth', source='soco')
    assert result.coverage == 1
    encoder = {f'backbone.{n}': v for n, v in golden.sub('encoder.').items()}
    assert equal(result.state, encoder)


@pytest.mark.parametrize(
    'wrap',
    [
        lambda state: {'model_state_dict': state},
        lambda state: {'epoch': 3, 'state_dict_ema': state, 'optimizer': {'state': {0: {}}}},
        lambda state: {'run': {'net': {f'module.{name}': value for name, value in state.items()}}},
        lambda state: {name: value.numpy() for name, value in state.items()},
    ],
    ids=['other key', 'ema', 'nested', 'numpy'],
)
def test_the_one_state_dict_of_a_file_is_read_wherever_it_lies(tmp_path, wrap):
    state = shaken(PlainViT(24, 2, 48, 3, 8, 17)).state_dict()
    torch.save(state, tmp_path / 'plain.pth')
    torch.save(wrap(state), tmp_path / 'wrapped.pth')
    want, got = (import_weights(tmp_path / f'{n}.pth', source='dino') for n in ('plain', 'wrapped'))
    assert got.state.keys() == want.state.keys()
    assert all(torch.equal(got.state[name], value) for name, value in want.state.items())


def test_several_or_no_state_dicts_are_named(tmp_path):
    state = shaken(PlainViT(24, 2, 48, 3, 8, 17)).state_dict()
    torch.save(dict(online=state, target=dict(net=state)), tmp_path / 'two.pth')
    with pytest.raises(ValueError, match=r'2 state dicts, under online, target\.net'):
        import_weights(tmp_path / 'two.pth', source='dino')
    torch.save(dict(epoch=3, args=dict(lr=1)), tmp_path / 'none.pth')
    with pytest.raises(ValueError, match=r'holds no tensors \(its keys: epoch, args\)'):
        import_weights(tmp_path / 'none.pth', source='dino')
