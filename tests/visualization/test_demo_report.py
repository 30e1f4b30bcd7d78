"""The demo says what it measured, and no more."""

import pytest

from mmdssl.visualization.demo_report import (
    in_words,
    method_names,
    score_rows,
    write_demo_report,
)
from mmdssl.visualization.figure import save_figure, sheet

RANDOM = {'oknn/top1': 20.04, 'oknn/top5': 75.0, 'oknn_d/top1': 18.0, 'oknn/num_query': 700}
TRAINED = {
    'oknn/top1': 34.0,
    'oknn/top5': 76.0,
    'oknn_d/top1': 10.06,
    'oknn/num_query': 700,
    'oknn/num_bank': 8953,
}
MEASURED = {
    'config': 'densecl-d_r18w16-64px_1xb32-150i_scenes',
    'iterations': 150,
    'random': RANDOM,
    'pretrained': TRAINED,
}
PLAIN = {**TRAINED, 'oknn/top1': 33.0}


def test_rows_hold_both_sides_and_the_signed_change():
    assert score_rows(MEASURED) == [
        ('O-KNN, top-1', '20.0', '34.0', '+14.0'),
        ('O-KNN, top-5', '75.0', '76.0', '+1.0'),
        ('O-KNN-D, top-1', '18.0', '10.1', '-7.9'),
    ]


def test_rows_show_the_partner_before_the_method():
    assert score_rows({**MEASURED, 'plain': PLAIN})[0] == (
        'O-KNN, top-1',
        '20.0',
        '33.0',
        '34.0',
        '+14.0',
    )


def test_two_sentences_name_the_numbers_of_this_run_and_claim_nothing():
    shown, limits = in_words({**MEASURED, 'plain': PLAIN})
    assert '150 iterations of DenseCL-D taught a small network' in shown
    assert '34.0 % of them, those of the untrained network that of 20.0 %' in shown
    assert '10.1 % instead of 18.0 %' in shown
    assert 'Plain DenseCL' in limits
    assert '33.0 %' in limits
    assert '1.8 points' in limits  # sqrt(34 * 66 / 700)
    assert 'no evidence' in limits
    assert 'Plain' not in in_words(MEASURED)[1]


@pytest.mark.parametrize('after', [19.0, 24.0])
def test_a_rise_within_twice_its_error_is_not_called_learning(after):
    measured = {**MEASURED, 'pretrained': {**TRAINED, 'oknn/top1': after}}
    assert 'have not taught' in in_words(measured)[0]


@pytest.mark.parametrize(
    ('config', 'names'),
    [
        ('ibot-d_vit-micro-p16_1xb24-250i_scenes', ('iBOT-D', 'iBOT')),
        ('soco_r18w32-128px_1xb32-250i_scenes', ('SoCo', 'SoCo')),
        ('d3ssl_r18w32-128px_1xb32-250i_scenes', ('D3SSL', 'D3SSL')),
        ('mocov2_r18w32-128px_1xb32-250i_scenes', ('MoCo v2', 'MoCo v2')),
    ],
)
def test_methods_are_named_as_their_papers_do(config, names):
    assert method_names(config) == names


def test_page_holds_table_pictures_config_without_paths(tmp_path):
    figure, _ = sheet(1, 1, width=1, height=1)
    picture = save_figure(figure, tmp_path / 'curves.png')
    page = write_demo_report(
        tmp_path / 'report.html',
        measured=MEASURED,
        pictures={'curves': picture},
        facts={'Time': '90 s'},
        config_text=f"work_dir = '{tmp_path}/demo'\nlr = 0.1\n",
    ).read_text()
    assert '<td>-7.9</td>' in page
    assert page.count('data:image/png;base64,') == 1
    assert 'each of 700 validation objects' in page
    assert 'lr = 0.1' in page
    assert str(tmp_path) not in page
