"""The demo says what it measured, and no more."""

from mmdssl.visualization.demo_report import caveat, score_rows, write_demo_report
from mmdssl.visualization.figure import save_figure, sheet

RANDOM = {'oknn/top1': 60.04, 'oknn/top5': 95.0, 'oknn_d/top1': 58.0, 'oknn/num_query': 7}
TRAINED = {
    'oknn/top1': 64.0,
    'oknn/top5': 96.0,
    'oknn_d/top1': 50.06,
    'oknn/num_query': 1487,
    'oknn/num_bank': 8953,
}


def test_rows_hold_both_sides_and_the_signed_change():
    assert score_rows(RANDOM, TRAINED) == [
        ('O-KNN, top-1', '60.0', '64.0', '+4.0'),
        ('O-KNN, top-5', '95.0', '96.0', '+1.0'),
        ('O-KNN-D, top-1', '58.0', '50.1', '-7.9'),
    ]


def test_text_names_the_numbers_of_this_run_and_claims_nothing():
    text = caveat(250, RANDOM, TRAINED)
    assert 'from O-KNN 60.0, O-KNN-D 58.0 to O-KNN 64.0, O-KNN-D 50.1' in text
    assert 'no evidence' in text


def test_page_holds_table_pictures_config_without_paths(tmp_path):
    figure, _ = sheet(1, 1, width=1, height=1)
    picture = save_figure(figure, tmp_path / 'curves.png')
    page = write_demo_report(
        tmp_path / 'report.html',
        random=RANDOM,
        pretrained=TRAINED,
        pictures={'curves': picture},
        iterations=250,
        facts={'Time': '90 s'},
        config_text=f"work_dir = '{tmp_path}/demo'\nlr = 0.1\n",
    ).read_text()
    assert '<td>-7.9</td>' in page
    assert page.count('data:image/png;base64,') == 1
    assert 'each of 1487 validation objects' in page
    assert 'lr = 0.1' in page
    assert str(tmp_path) not in page
