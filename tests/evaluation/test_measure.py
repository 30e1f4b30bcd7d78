"""The way from a config to numbers: what is resolved, what is left as it was, what is refused."""

from pathlib import Path

import pytest
import torch
from mmpretrain.models.backbones import ResNet, VisionTransformer

from mmdssl.engine.config import load_config
from mmdssl.evaluation.measure import (
    build_diagnostic,
    build_diagnostics,
    measure_diagnostics,
    removal_for,
)
from mmdssl.models.backbones.dense_vit import DenseViT
from tests.datasets.diagnostics.diagnostic_files import write_objects
from tests.evaluation.toy_backbones import MixNet, PatchNet

CONFIGS = Path(__file__).parents[2] / 'configs/_base_/datasets'
ARCH = dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48)


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_objects(tmp_path_factory.mktemp('diagnostics'), images=24)


def small(name: str, files: dict) -> dict:
    """The diagnostics of a base config on the test's files."""
    diagnostics = load_config(CONFIGS / name, {}).coupling_diagnostics
    for diagnostic in diagnostics.values():
        diagnostic.dataloader.num_workers = 0
        diagnostic.dataloader.persistent_workers = False
        diagnostic.dataloader.dataset.update(num=6, data_root='', size=64, **files)
    return diagnostics


@pytest.mark.parametrize('name', ['coco_coupling.py', 'scenes_coupling.py'])
def test_base_configs_give_finite_numbers_and_record_their_choice(name, files):
    torch.manual_seed(0)
    vit = DenseViT(arch=ARCH, img_size=64, patch_size=8)
    diagnostics = build_diagnostics(small(name, files), backbone=vit, layers=['block0', 'last'])
    found = measure_diagnostics(vit, dict(type='MultiViewPreprocessor'), diagnostics)
    assert {key.split('/')[0] for key in found} == {
        'cr_inter', 'cr_inter_cosine', 'bg_self', 'cr_intra', 'cr_intra_all',
    }  # fmt: skip
    for number in found.values():
        assert torch.tensor(number).isfinite()
    selection = diagnostics['inter'].loader.dataset.metainfo['selection']
    assert (selection['remove'], selection['patch_size']) == ('patches', 8)
    assert selection['source'] == ('crop' if name.startswith('scenes') else 'single')
    assert 'cr_inter/block0@0.9/full_angle' in found


def test_measuring_leaves_no_trace_and_repeats(files):
    net = MixNet(1.0, patch_size=8)
    net.train(True)
    diagnostics = build_diagnostics(small('coco_coupling.py', files), backbone=net)
    state = torch.get_rng_state()
    first, again = (
        measure_diagnostics(net, None, diagnostics),
        measure_diagnostics(net, None, diagnostics),
    )
    assert first == again
    assert torch.equal(torch.get_rng_state(), state)
    assert net.training
    assert all(parameter.grad is None for parameter in net.parameters())


def test_diagnostics_of_one_file_read_it_once(files):
    diagnostics = build_diagnostics(
        small('coco_coupling.py', files), backbone=PatchNet(patch_size=8)
    )
    objects = [diagnostic.loader.dataset.objects for diagnostic in diagnostics.values()]
    assert objects[0] is objects[1]  # pairs and backgrounds; parts need masks


def test_what_is_taken_from_a_depends_on_the_backbone():
    assert removal_for(DenseViT(arch=ARCH, img_size=32, patch_size=8)) == dict(
        remove='patches', patch_size=8
    )
    plain = VisionTransformer(arch=ARCH, img_size=32, patch_size=16)
    assert removal_for(plain) == dict(remove='patches', patch_size=16)
    assert removal_for(ResNet(depth=18)) == dict(remove='shrink')


def test_a_diagnostic_that_lacks_something_is_named(files):
    diagnostic = small('coco_coupling.py', files)['inter']
    with pytest.raises(ValueError, match="remove='auto' needs the backbone"):
        build_diagnostic(diagnostic)
    with pytest.raises(ValueError, match='the diagnostic has no evaluator'):
        build_diagnostic(dict(dataloader=diagnostic.dataloader))
    net = PatchNet(patch_size=8)
    unknown = {'inter': build_diagnostic(diagnostic, backbone=net, layers=['C3'])}
    with pytest.raises(ValueError, match="no layer 'C3'"):
        measure_diagnostics(net, None, unknown)
    twice = {name: build_diagnostic(diagnostic, backbone=net) for name in ('a', 'b')}
    with pytest.raises(ValueError, match="diagnostic 'b' reports 'cr_inter"):
        measure_diagnostics(net, None, twice)
