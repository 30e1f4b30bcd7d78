"""Curves are read from the files a run writes, resumed runs included."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mmdssl.visualization.curves import draw_curves, read_object_knn, read_scalars


def write_log(work_dir: Path, start: str, records: list[dict], tail: str = '') -> None:
    file = work_dir / start / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text(''.join(json.dumps(record) + '\n' for record in records) + tail)


def test_resumed_run_continues_the_curve_and_its_values_win(tmp_path):
    first = [dict(loss=9.0 - step, iter=step, step=step) for step in (1, 2, 3)]
    write_log(tmp_path, '20250101_000000', first)
    write_log(tmp_path, '20250101_010000', [dict(loss=0.5, step=3), dict(loss=0.25, step=4)])
    curve = read_scalars(tmp_path)['loss']
    assert curve.steps.tolist() == [1, 2, 3, 4]
    assert curve.values.tolist() == [8.0, 7.0, 0.5, 0.25]


def test_fresh_start_in_the_same_folder_replaces_the_old_curve(tmp_path):
    write_log(tmp_path, '20250101_000000', [dict(loss=1.0, step=s) for s in (10, 20, 30)])
    write_log(tmp_path, '20250102_000000', [dict(loss=2.0, step=10)])
    curve = read_scalars(tmp_path)['loss']
    assert (curve.steps.tolist(), curve.values.tolist()) == ([10], [2.0])


def test_line_cut_short_by_a_kill_is_left_out(tmp_path):
    write_log(tmp_path, '20250101_000000', [dict(loss=1.0, step=1)], tail='{"loss": 0.')
    assert read_scalars(tmp_path)['loss'].values.tolist() == [1.0]


def test_missing_logs_name_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match='work_dir of a run'):
        read_scalars(tmp_path)
    with pytest.raises(FileNotFoundError, match='ObjectKNNHook'):
        read_object_knn(tmp_path / 'object_knn.jsonl')


def test_object_knn_records_become_curves_and_a_picture(tmp_path):
    file = tmp_path / 'object_knn.jsonl'
    records = [{'epoch': 0, 'iter': i, 'seconds': 1.0, 'oknn/top1': 60.0 + i} for i in (0, 125)]
    file.write_text(''.join(json.dumps(record) + '\n' for record in records))
    curves = read_object_knn(file)
    assert curves['oknn/top1'].steps.tolist() == [0, 125]
    assert curves['oknn/top1'].values.tolist() == [60.0, 185.0]
    path = draw_curves({'loss': curves['seconds']}, {'O-KNN': curves['oknn/top1']}, tmp_path / 'c')
    with Image.open(path) as drawn:
        assert drawn.format == 'PNG'
