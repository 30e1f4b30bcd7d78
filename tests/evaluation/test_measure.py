"""The way from a config to numbers: what is resolved, what is left as it was, what is refused."""

from pathlib import Path

import pytest
import torch
from mmpretrain.models.backbones import ResNet, VisionTransformer

from mmdssl.engine.config import load_config
from mmdssl.evaluation.measure import build_probe, build_probes, measure_probes, removal_for
from mmdssl.models.backbones.dense_vit import DenseViT
from tests.datasets.probes.probe_files import write_objects
from tests.evaluation.toy_backbones import MixNet, PatchNet

CONFIGS = Path(__file__).parents[2] / 'configs/_base_/datasets'
ARCH = dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48)


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_objects(tmp_path_factory.mktemp('probes'), images=24)


def small(name: str, files: dict) -> dict:
    """The probes of a base config on the test's files."""
    probes = load_config(CONFIGS / name, {}).coupling_probes
    for probe in probes.values():
        probe.dataloader.num_workers = 0
        probe.dataloader.persistent_workers = False
        probe.dataloader.dataset.update(num=6, data_root='', size=64, **files)
    return probes


@pytest.mark.parametrize('name', ['coco_coupling.py', 'scenes_coupling.py'])
def test_base_configs_give_finite_numbers_and_record_their_choice(name, files):
    torch.manual_seed(0)
    vit = DenseViT(arch=ARCH, img_size=64, patch_size=8)
    probes = build_probes(small(name, files), backbone=vit, layers=['block0', 'last'])
    found = measure_probes(vit, dict(type='MultiViewPreprocessor'), probes)
    assert {key.split('/')[0] for key in found} == {
        'cr_inter', 'cr_inter_cosine', 'bg_self', 'cr_intra', 'cr_intra_all',
    }  # fmt: skip
    for number in found.values():
        assert torch.tensor(number).isfinite()
    selection = probes['inter'].loader.dataset.metainfo['selection']
    assert (selection['remove'], selection['patch_size']) == ('patches', 8)
    assert selection['source'] == ('crop' if name.startswith('scenes') else 'single')
    assert 'cr_inter/block0@0.9/full_angle' in found


def test_measuring_leaves_no_trace_and_repeats(files):
    net = MixNet(1.0, patch_size=8)
    net.train(True)
    probes = build_probes(small('coco_coupling.py', files), backbone=net)
    state = torch.get_rng_state()
    first, again = measure_probes(net, None, probes), measure_probes(net, None, probes)
    assert first == again
    assert torch.equal(torch.get_rng_state(), state)
    assert net.training
    assert all(parameter.grad is None for parameter in net.parameters())


def test_probes_of_one_file_read_it_once(files):
    probes = build_probes(small('coco_coupling.py', files), backbone=PatchNet(patch_size=8))
    objects = [probe.loader.dataset.objects for probe in probes.values()]
    assert objects[0] is objects[1]  # pairs and backgrounds; parts need masks


def test_what_is_taken_from_a_depends_on_the_backbone():
    assert removal_for(DenseViT(arch=ARCH, img_size=32, patch_size=8)) == dict(
        remove='patches', patch_size=8
    )
    plain = VisionTransformer(arch=ARCH, img_size=32, patch_size=16)
    assert removal_for(plain) == dict(remove='patches', patch_size=16)
    assert removal_for(ResNet(depth=18)) == dict(remove='shrink')


def test_a_probe_that_lacks_something_is_named(files):
    probe = small('coco_coupling.py', files)['inter']
    with pytest.raises(ValueError, match="remove='auto' needs the backbone"):
        build_probe(probe)
    with pytest.raises(ValueError, match='the probe has no evaluator'):
        build_probe(dict(dataloader=probe.dataloader))
    net = PatchNet(patch_size=8)
    unknown = {'inter': build_probe(probe, backbone=net, layers=['C3'])}
    with pytest.raises(ValueError, match="no layer 'C3'"):
        measure_probes(net, None, unknown)
    twice = {name: build_probe(probe, backbone=net) for name in ('a', 'b')}
    with pytest.raises(ValueError, match="probe 'b' reports 'cr_inter"):
        measure_probes(net, None, twice)
