"""Where a backbone stands in a checkpoint, and when too little of it was found."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mmdssl.core.checkpointing import EVALUATED_KEY
from mmdssl.models.utils.backbone_weights import load_backbone


def backbone(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
    )


def save(path: Path, **parts: nn.Module) -> Path:
    """``teacher_backbone=net`` stands under ``teacher.backbone.``, inside ``state_dict``."""
    state = {
        f'{name.replace("_", ".")}.{key}': value
        for name, net in parts.items()
        for key, value in net.state_dict().items()
    }
    torch.save(dict(meta=dict(epoch=3), state_dict=state), path)
    return path


def same(one: nn.Module, two: nn.Module) -> bool:
    return all(torch.equal(a, two.state_dict()[n]) for n, a in one.state_dict().items())


@pytest.mark.parametrize(('source', 'seed'), [('auto', 2), ('teacher', 2), ('student', 1)])
def test_source_names_the_backbone(tmp_path: Path, source: str, seed: int):
    file = save(tmp_path / 'run.pth', backbone=backbone(1), teacher_backbone=backbone(2))
    net = backbone(0)
    report = load_backbone(net, file, source=source)  # type: ignore[arg-type]
    assert same(net, backbone(seed))
    assert report.coverage == 1
    assert report.missing == report.unexpected == ()


@pytest.mark.parametrize(('kept', 'seed'), [('student', 1), ('teacher', 2), ('other', 2)])
def test_auto_follows_what_the_checkpoint_says_is_kept(tmp_path: Path, kept: str, seed: int):
    file = save(tmp_path / 'run.pth', backbone=backbone(1), teacher_backbone=backbone(2))
    content = torch.load(file)
    torch.save({**content, 'meta': {EVALUATED_KEY: kept}}, file)
    net = backbone(0)
    load_backbone(net, file)
    assert same(net, backbone(seed))


def test_auto_takes_a_classifier_or_a_bare_backbone(tmp_path: Path):
    classifier = save(tmp_path / 'a.pth', backbone=backbone(1), head=nn.Linear(4, 2))
    bare = tmp_path / 'b.pth'
    torch.save(backbone(2).state_dict(), bare)
    for file, seed in ((classifier, 1), (bare, 2)):
        net = backbone(0)
        report = load_backbone(net, file)
        assert same(net, backbone(seed))
        assert report.unexpected == ()


def test_a_teacher_that_is_not_there_is_named(tmp_path: Path):
    file = save(tmp_path / 'run.pth', backbone=backbone(1))
    with pytest.raises(ValueError, match=r"no teacher backbone.*teacher\.backbone.*\['backbone'\]"):
        load_backbone(backbone(0), file, source='teacher')


def test_a_lost_normalisation_is_too_little_though_it_is_few_values(tmp_path: Path):
    kept = {k: v for k, v in backbone(1).state_dict().items() if not k.startswith('3.')}
    assert sum(v.numel() for v in kept.values()) > 0.9 * sum(
        v.numel() for v in backbone(1).state_dict().values()
    )
    torch.save(kept, tmp_path / 'part.pth')
    net = backbone(0)
    with pytest.raises(ValueError, match=r'covers too little of Sequential.*4 missing \(3\.weight'):
        load_backbone(net, tmp_path / 'part.pth')
    assert same(net, backbone(0))  # nothing was loaded


def test_the_report_names_what_is_missing_and_unexpected(tmp_path: Path):
    state = backbone(1).state_dict()
    state['extra.weight'] = torch.zeros(1)
    del state['3.bias']
    torch.save(state, tmp_path / 'part.pth')
    report = load_backbone(backbone(0), tmp_path / 'part.pth', min_coverage=0.9)
    assert report.missing == ('3.bias',)
    assert report.unexpected == ('extra.weight',)
    assert '11 tensors matched' in str(report)
    assert 0.9 < report.coverage < 0.95


def test_a_file_that_covers_just_what_is_asked_is_taken(tmp_path: Path):
    state = backbone(1).state_dict()
    del state['3.bias']
    torch.save(state, tmp_path / 'part.pth')
    least = 11 / 12  # of the tensors, which is less than the share of the values
    assert load_backbone(backbone(0), tmp_path / 'part.pth', min_coverage=least).coverage == least
    with pytest.raises(ValueError, match='covers too little'):
        load_backbone(backbone(0), tmp_path / 'part.pth', min_coverage=least + 1e-9)


def test_counters_of_normalisation_are_not_needed(tmp_path: Path):
    state = {k: v for k, v in backbone(1).state_dict().items() if 'num_batches' not in k}
    torch.save(state, tmp_path / 'a.pth')
    assert load_backbone(backbone(0), tmp_path / 'a.pth').coverage == 1


def test_a_teacher_without_mask_token_is_whole(tmp_path: Path):
    net = backbone(0)
    net.register_parameter('mask_token', nn.Parameter(torch.zeros(1, 1, 500)))
    report = load_backbone(net, save(tmp_path / 'a.pth', teacher_backbone=backbone(1)))
    assert report.coverage == 1


def test_another_width_is_refused(tmp_path: Path):
    wide = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Conv2d(5, 5, 3), nn.BatchNorm2d(5)
    )
    with pytest.raises(
        ValueError, match=r'does not fit Sequential: size mismatch for 0\.weight.*11 more'
    ):
        load_backbone(backbone(0), save(tmp_path / 'a.pth', backbone=wide))


def test_files_without_tensors_are_refused(tmp_path: Path):
    torch.save(dict(epoch=3), tmp_path / 'a.pth')
    torch.save([1], tmp_path / 'b.pth')
    with pytest.raises(ValueError, match='holds no tensors'):
        load_backbone(backbone(0), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='holds a list'):
        load_backbone(backbone(0), tmp_path / 'b.pth')


class Payload:
    """What must never be unpickled."""


def test_code_in_a_checkpoint_is_refused(tmp_path: Path):
    torch.save(dict(state_dict=backbone(1).state_dict(), extra=Payload()), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='more than plain data'):
        load_backbone(backbone(0), tmp_path / 'a.pth')
