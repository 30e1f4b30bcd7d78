"""``mmdssl analyze`` on tiny scenes and a tiny net: tables with facts, pictures, clear errors."""

import csv
import json
from pathlib import Path

import pytest
import torch
from mmpretrain.models.backbones import MobileNetV2, ResNet

from mmdssl.cli import analyze
from mmdssl.cli.arguments import command_text
from mmdssl.models.backbones.dense_vit import DenseViT
from mmdssl.registry import MODELS
from tests.tiny_scenes import write_tiny_scenes

ROOT = Path(__file__).resolve().parents[2]

VIT = dict(
    type='DenseViT',
    arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48),
    img_size=64,
    patch_size=8,
)
CONFIG = f"""
_base_ = [
    '{ROOT}/configs/_base_/datasets/scenes_object_knn.py',
    '{ROOT}/configs/_base_/datasets/scenes_coupling.py',
]
default_scope = 'mmdssl'
_loader = dict(batch_size=4, num_workers=0, persistent_workers=False)
object_knn_dataloader = dict(
    **_loader,
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='SelectObjects', select='all'),
            dict(type='ResizeWithBoxes', size=64),
        ]
    ),
)
coupling_diagnostics = dict(
    inter=dict(dataloader=dict(**_loader)),
    intra=dict(dataloader=dict(**_loader)),
    background=dict(dataloader=dict(**_loader)),
)
"""


@pytest.fixture(scope='module')
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_scenes(tmp_path_factory.mktemp('scenes'), images=12, val_images=8)


@pytest.fixture(scope='module')
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp('config') / 'tiny.py'
    file.write_text(CONFIG + f'model = dict(type="FeatureExtractor", backbone={VIT})\n')
    return str(file)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp('weights') / 'net.pth'
    torch.save({f'backbone.{k}': v for k, v in MODELS.build(VIT).state_dict().items()}, path)
    return path


def results(folder: Path, name: str) -> tuple[list[dict], dict]:
    """Rows of the CSV and the JSON, after a look that they agree."""
    with (folder / f'{name}.csv').open() as file:
        rows = list(csv.DictReader(file))
    content = json.loads((folder / f'{name}.json').read_text())
    assert len(rows) == len(content['rows'])
    assert content['command'] == command_text()
    assert content['seed'] == 0
    assert 'torch' in content['versions']
    assert content['data']
    return rows, content


def pictures(folder: Path) -> set[str]:
    found = {path.stem for path in folder.glob('*.png')}
    for name in found:
        assert (folder / f'{name}.png').read_bytes().startswith(b'\x89PNG')
    return found


def test_object_knn_sets_networks_side_by_side(scenes, config, checkpoint, tmp_path):
    command = ['object-knn', config, f'mine={checkpoint}', 'random', '--data-root', str(scenes)]
    analyze.main([*command, '--num-samples', '6', '--bootstrap', '50', '--out', str(tmp_path)])
    rows, content = results(tmp_path, 'object_knn')
    measures = ['oknn', 'oknn_d', 'oknn_clean_bank']
    assert [(r['network'], r['measure']) for r in rows] == [
        (network, measure) for network in ('mine', 'random') for measure in measures
    ]
    assert content['networks'] == {'mine': str(checkpoint), 'random': 'untrained'}
    for row in rows:
        assert float(row['top1_low']) <= float(row['top1']) <= float(row['top1_high'])
    gain = float(rows[3]['top1']) - float(rows[0]['top1'])
    assert rows[0]['top1_gain'] == ''
    assert float(rows[3]['top1_gain']) == pytest.approx(gain)
    with (tmp_path / 'object_knn_classes.csv').open() as file:
        classes = [row for row in csv.DictReader(file) if row['network'] == 'mine']
    of_first = [row for row in classes if row['measure'] == 'oknn']
    assert sum(int(row['objects']) for row in of_first) == int(rows[0]['num_query'])
    assert pictures(tmp_path) == {'object_knn', 'object_knn_confusion'}


def test_coupling_measures_all_probes_and_layers(scenes, config, tmp_path, capsys):
    command = ['coupling', config, '--data-root', str(scenes), '--num-samples', '3', '--size', '64']
    command += ['--ratios', '0.2', '0.6', '--layers', 'block0', 'last']
    analyze.main([*command, '--out', str(tmp_path)])
    rows, content = results(tmp_path, 'coupling')
    found = {(r['measure'], r['layer'], r['missing']) for r in rows}
    for layer in ('block0', 'last'):
        for measure in ('cr_inter', 'cr_inter_cosine'):
            assert {(measure, layer, missing) for missing in ('', '0.2', '0.6')} <= found
        for measure in ('bg_self', 'cr_intra', 'cr_intra_all'):
            assert (measure, layer, '') in found
    assert content['data']['inter']['remove'] == 'patches'
    assert content['data']['inter']['num'] == 3
    assert {'cr_inter', 'cr_inter_layers', 'cr_intra', 'cr_intra_all'} <= pictures(tmp_path)
    assert 'cr_intra_all' in capsys.readouterr().out


def test_coupling_in_half_precision_is_near_but_not_the_same(scenes, config, tmp_path):
    found = {}
    for amp in ('off', 'bf16'):
        command = [
            'coupling',
            config,
            '--data-root',
            str(scenes),
            '--num-samples',
            '3',
            '--size',
            '64',
        ]
        command += ['--probes', 'background', '--amp', amp]
        analyze.main([*command, '--out', str(tmp_path / amp)])
        rows, _ = results(tmp_path / amp, 'coupling')
        found[amp] = float(rows[0]['raw'])
    assert found['bf16'] == pytest.approx(found['off'], abs=0.02)
    assert found['bf16'] != found['off']


def test_coupling_is_drawn_against_a_setting_of_the_training(
    refused, scenes, config, checkpoint, tmp_path
):
    options = [
        '--data-root',
        str(scenes),
        '--num-samples',
        '3',
        '--size',
        '64',
        '--probes',
        'inter',
    ]
    options += ['--ratios', '0.5', '--out', str(tmp_path), '--against', 'mask ratio']
    analyze.main(['coupling', config, f'iBOT@0.3={checkpoint}', 'iBOT@0.1=random', *options])
    assert 'coupling_against' in pictures(tmp_path)
    refused('METHOD@VALUE=CHECKPOINT', ['coupling', config, 'random', *options])


def test_position_gives_a_row_for_each_layer(scenes, config, tmp_path):
    command = [
        'position',
        config,
        '--data-root',
        str(scenes),
        '--image-dir',
        'val',
        '--num-samples',
        '2',
    ]
    analyze.main([*command, '--cell', '32', '--out', str(tmp_path)])
    rows, content = results(tmp_path, 'position')
    assert [row['layer'] for row in rows] == ['block0', 'block1', 'last']
    assert all(0 < float(row['mean']) < 1 for row in rows)
    assert content['data']['selection']['cell'] == 32
    assert pictures(tmp_path) == {'position'}


def test_consistency_gives_a_row_for_each_network(scenes, config, checkpoint, tmp_path):
    command = ['consistency', config, str(checkpoint), 'random', '--data-root', str(scenes)]
    analyze.main([*command, '--num-samples', '2', '--size', '64', '--out', str(tmp_path)])
    rows, content = results(tmp_path, 'consistency')
    assert [row['network'] for row in rows] == ['net', 'random']
    assert all(0 < float(row['mean']) < 1 for row in rows)
    assert len(content['data']['photos']) == 2
    assert pictures(tmp_path) == {'consistency'}


@pytest.mark.parametrize('chosen', [[], ['--points', '0.2,0.3', '0.9,0.5']])
def test_affinity_takes_points_of_objects_or_given_ones(scenes, config, tmp_path, chosen):
    command = ['affinity', config, '--data-root', str(scenes), '--num-samples', '2', '--size', '64']
    analyze.main([*command, '--map-size', '16', '--out', str(tmp_path), *chosen])
    rows, _ = results(tmp_path, 'affinity')
    assert [row['point'] for row in rows] == ['1', '2']
    assert all(-1 <= float(row['lowest']) <= float(row['mean']) <= 1 for row in rows)
    assert pictures(tmp_path) == {'affinity'}


def test_the_number_of_samples_is_the_configs_where_none_is_given(scenes, config, tmp_path):
    command = ['coupling', config, '--data-root', str(scenes), '--probes', 'background']
    command += ['--size', '64', '--out', str(tmp_path)]
    own = 'coupling_diagnostics.background.dataloader.dataset.num=5'
    for more, num in (([], 5), (['--num-samples', '3'], 3)):
        analyze.main([*command, *more, '--cfg-options', own])
        (row,), _ = results(tmp_path, 'coupling')
        assert int(row['objects']) == num


def test_an_own_json_is_read_from_where_it_lies(scenes, config, tmp_path):
    files = ['--ann-file', str(scenes / 'annotations/instances_val.json')]
    command = ['coupling', config, *files, '--image-dir', str(scenes / 'val'), '--num-samples', '2']
    analyze.main([*command, '--probes', 'background', '--size', '64', '--out', str(tmp_path)])
    (row,), content = results(tmp_path, 'coupling')
    assert row['measure'] == 'bg_self'
    assert content['data']['background']['ann_file'] == files[1]


def test_a_pretraining_config_gives_its_backbone(scenes, tmp_path):
    head = dict(
        type='IBOTHead', in_channels=24, hidden_channels=16, bottleneck_channels=8, out_channels=32
    )
    host = dict(type='IBOT', backbone=VIT, head=head)
    file = tmp_path / 'run.py'
    file.write_text(f'model = {host}\n')
    torch.manual_seed(1)
    torch.save(dict(state_dict=MODELS.build(host).state_dict()), tmp_path / 'run.pth')
    command = [
        'consistency',
        str(file),
        str(tmp_path / 'run.pth'),
        '--num-samples',
        '1',
        '--size',
        '64',
    ]
    analyze.main([*command, '--image-dir', str(scenes / 'val'), '--out', str(tmp_path)])
    assert results(tmp_path, 'consistency')[0][0]['network'] == 'run'


def changed_json(scenes: Path, folder: Path, change) -> str:
    content = json.loads((scenes / 'annotations/instances_val.json').read_text())
    for annotation in content['annotations']:
        change(annotation)
    (folder / 'changed.json').write_text(json.dumps(content))
    return str(folder / 'changed.json')


@pytest.mark.parametrize(
    ('change', 'probe', 'message'),
    [
        (lambda a: a.pop('segmentation'), 'intra', 'has no segmentation.*needs .* masks'),
        (lambda a: a.update(category_id=1), 'inter', 'of one class, pairs need two'),
    ],
)
def test_annotations_that_do_not_serve_are_named(
    refused, scenes, config, tmp_path, change, probe, message
):
    file = changed_json(scenes, tmp_path, change)
    command = ['coupling', config, '--ann-file', file, '--image-dir', str(scenes / 'val')]
    refused(message, [*command, '--probes', probe, '--num-samples', '2', '--out', str(tmp_path)])


@pytest.mark.parametrize(
    ('command', 'message'),
    [
        (['coupling', '--layers', 'C9'], "DenseViT has no layer 'C9'; it has last, block0"),
        (['coupling', '--probes', 'outer'], "no probe 'outer'"),
        (['position', '--layers', 'block7'], "no layer 'block7'"),
        (['position', '--cell', '65'], 'cell=65 is no multiple of stride=32'),
        (['position', '--num-samples', '99'], 'holds 8 images'),
        (['consistency', '--size', '32'], 'smaller than a crop'),
        (['consistency', '--layer', 'C5'], "no layer 'C5'"),
        (['affinity', '--points', '0.5'], 'is not X,Y'),
        (['affinity', '--points', '2,0.5'], 'fractions of the image'),
        (['object-knn', 'random', 'random'], "two networks are named 'random'"),
        (['object-knn', 'nowhere.pth'], 'nowhere.pth'),
    ],
)
def test_unusable_arguments_are_one_sentence(refused, scenes, config, tmp_path, command, message):
    name, *others = command
    others += [] if '--num-samples' in others else ['--num-samples', '2']
    files = ['--data-root', str(scenes), '--out', str(tmp_path)]
    refused(message, [name, config, *others, *files])


@pytest.mark.parametrize('name', ['object-knn', 'coupling', 'position', 'consistency', 'affinity'])
def test_a_checkpoint_that_covers_too_little_is_one_sentence(
    refused, scenes, config, tmp_path, name
):
    state = MODELS.build(VIT).state_dict()
    torch.save(dict(list(state.items())[: len(state) // 2]), tmp_path / 'half.pth')
    command = [name, config, str(tmp_path / 'half.pth'), '--data-root', str(scenes)]
    refused(
        r'covers too little of DenseViT.*at least 95%',
        [*command, '--num-samples', '2', '--out', str(tmp_path)],
    )


def test_a_config_that_does_not_serve_is_one_sentence(refused, tmp_path):
    refused(r'no config file nowhere\.py', ['position', 'nowhere.py', '--out', str(tmp_path)])
    (tmp_path / 'empty.py').write_text('a = 1\n')
    refused(
        'no model with a backbone', ['position', str(tmp_path / 'empty.py'), '--out', str(tmp_path)]
    )


def test_layers_shown_by_default_suit_the_backbone():
    from mmdssl.cli.analyze.position import default_layers

    arch = dict(embed_dims=24, num_layers=12, num_heads=3, feedforward_channels=48)
    vit = DenseViT(arch=arch, img_size=32, patch_size=8)
    assert default_layers(vit) == [*(f'block{i}' for i in (0, 2, 4, 6, 8, 10)), 'last']
    assert default_layers(ResNet(depth=18)) == ['C2', 'C3', 'C4', 'C5']
    assert default_layers(MobileNetV2()) == [*(f'layer{i}' for i in range(1, 8)), 'last']


BLOCKS = ('block0', 'block1', 'last')
LIBRARIES = {
    'torchvision': (
        dict(type='TorchvisionBackbone', name='resnet18'),
        ('C2', 'C3', 'C4', 'C5'),
    ),
    'timm': (
        dict(
            type='TimmBackbone',
            name='vit_small_patch14_reg4_dinov2',
            embed_dim=24,
            depth=2,
            num_heads=3,
            img_size=64,
            patch_size=8,
        ),
        BLOCKS,
    ),
    'transformers': (
        dict(
            type='HFBackbone',
            config=dict(
                model_type='dinov2_with_registers',
                hidden_size=24,
                num_hidden_layers=2,
                num_attention_heads=3,
                num_register_tokens=4,
                patch_size=8,
                image_size=64,
            ),
        ),
        BLOCKS,
    ),
}


@pytest.mark.parametrize('library', LIBRARIES)
def test_networks_of_libraries_have_the_layers_of_ours(library, scenes, tmp_path):
    pytest.importorskip(library)
    backbone, layers = LIBRARIES[library]
    file = tmp_path / 'tiny.py'
    file.write_text(CONFIG + f'model = dict(type="FeatureExtractor", backbone={backbone})\n')
    command = ['position', str(file), '--data-root', str(scenes), '--image-dir', 'val']
    analyze.main([*command, '--num-samples', '1', '--cell', '64', '--out', str(tmp_path)])
    rows, content = results(tmp_path, 'position')
    assert tuple(row['layer'] for row in rows) == layers
    assert content['networks'] == {'random': 'untrained'}


def test_a_network_that_brings_its_weights_is_not_called_untrained(scenes, tmp_path):
    from torchvision.models import resnet18

    torch.save(resnet18(weights=None).state_dict(), tmp_path / 'net.pth')
    backbone = dict(
        type='TorchvisionBackbone', name='resnet18', checkpoint=str(tmp_path / 'net.pth')
    )
    file = tmp_path / 'tiny.py'
    file.write_text(CONFIG + f'model = dict(type="FeatureExtractor", backbone={backbone})\n')
    command = ['affinity', str(file), '--data-root', str(scenes), '--num-samples', '1']
    analyze.main([*command, '--size', '64', '--map-size', '8', '--out', str(tmp_path)])
    _, content = results(tmp_path, 'affinity')
    title = 'TorchvisionBackbone(resnet18)'
    assert content['networks'] == {title: f'those of {title}'}
