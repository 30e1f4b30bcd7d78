"""The step benchmark: floors are those of the papers' counts, every variant of a host trains."""

import pytest
import torch

from mmdssl.cli.benchmarks import step


@pytest.fixture
def variants():
    return {variant.name: variant for group in step.VARIANTS.values() for variant in group}


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('DenseCL-D', 1.1875),
        ('DenseCL', 1.0),  # over MoCo v2: the same passes
        ('point-level', 1.0),
        ('point-level-D', 1.1875),
        ('PixPro-D, 25 % of one key view', 1.09375),
        ('PixPro-D, 25 % of both key views', 1.1875),
        ('BYOL-D, 25 % of one key view', 1.09375),
        ('BYOL-D, 25 % of both key views', 1.1875),
        ('ReSim-D', 1.1875),
        ('SoCo-D, 25 % of one key view', 1.09375),
        ('SoCo-D, 25 % of both key views', 1.1875),
        ('iBOT-D, 25 % of one key view', 1.09375),
        ('SlotCon-D, 25 % of one key view', 1.09375),
        ('SlotCon-D, 25 % of both key views', 1.1875),
        ('NeCo-D, 25 % of both global views', 1.178),
        ('PLRC-D', 1.15),
        ('Self-EMD-D, 25 % of one key view', 1.09375),
        ('D3SSL without de-positioning', 5.75 / 8.75),
        ('MaskAlign-D', 1.159),
        ('Leopart-D, 25 % of both global views', 1.147),
    ],
)
def test_floor_is_the_count_of_passes(variants, name, expected):
    variant = variants[name]
    assert step.floor(variant, variants[variant.against]) == pytest.approx(expected, rel=1e-3)


def test_views_of_the_branch_are_those_of_the_count(variants):
    """A variant states what its student sees; the branch must agree."""
    for variant in variants.values():
        branch = variant.model.get('decoupling')
        if branch is not None:
            host = step.MODELS.get(step.load_config(step.CONFIGS / variant.config).model.type)
            views = branch.get('key_views', host.decoupling_defaults.get('key_views'))
            plain = variants[variant.against]
            added = branch['sample_ratio'] * len(views)
            assert variant.student == pytest.approx(plain.student + added), variant.name


def test_variants_are_compared_within_their_group():
    for group in step.VARIANTS.values():
        names = [variant.name for variant in group]
        assert len(set(names)) == len(names)
        assert all(variant.against in {None, *names} for variant in group)


def test_ratios_are_medians_within_rounds(variants):
    pair = [variants['SoCo'], variants['SoCo-D, 25 % of one key view']]
    seconds = {pair[0].name: [1.0, 2.0, 4.0], pair[1].name: [2.0, 3.0, 20.0]}
    (row,) = step.ratios(pair, seconds)
    assert row['value'] == 2.0
    assert row['reference'] == 'floor 1.094'

    laid_out = variants['DenseCL, channels_last']
    plain = step.replace(variants['DenseCL'], against=None)
    (row,) = step.ratios([plain, laid_out], {'DenseCL': [1.0], laid_out.name: [1.5]})
    assert row['value'] == 1.5
    assert 'reference' not in row  # another layout of the same work has no floor


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        'iBOT',
        'MaskAlign-D',
        'Leopart-D, 25 % of both global views',
        'DenseCL-D',
        'DenseCL, channels_last',
        'MoCo v2',
        'point-level-D',
        'PixPro-D, 25 % of both key views',
        'BYOL-D, 25 % of one key view',
        'ReSim-D',
        'SoCo-D, 25 % of one key view',
        'D3SSL',
        'SlotCon-D, 25 % of both key views',
    ],
)
def test_a_step_trains(variants, name, monkeypatch):
    models = []
    build = step.MODELS.build
    monkeypatch.setattr(step.MODELS, 'build', lambda cfg: models.append(build(cfg)) or models[-1])
    run = step.step_of(variants[name], 4, 'cpu')
    model = models[-1]  # its parts are built before it
    before = {key: value.clone() for key, value in model.backbone.named_parameters()}
    run()
    changed = [not torch.equal(before[k], v) for k, v in model.backbone.named_parameters()]
    assert any(changed)
    assert all(torch.isfinite(value).all() for value in model.parameters())


def test_a_step_that_is_not_there_is_refused_before_anything_runs():
    with pytest.raises(ValueError, match="no step has 'Leopard' in its name; there are bare"):
        next(step.rows(only='Leopard'))
