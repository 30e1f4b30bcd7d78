import csv
import json

import pytest

from mmdssl.cli import analyze


def test_cutout_ratio_writes_numbers_and_pictures(tmp_path, capsys):
    out = tmp_path / 'new' / 'folder'
    analyze.main(
        ['cutout-ratio', '--out', str(out), '--repeats', '5', '--size', '56', '--regions', '1', '3']
    )
    with (out / 'cutout_ratio.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert {row['regions'] for row in rows} == {'1', '3'}
    assert len(rows) == 12
    assert all(0 < float(row['realised']) < 1 for row in rows)
    facts = json.loads((out / 'cutout_ratio.json').read_text())
    assert (facts['seed'], facts['arguments']['repeats'], len(facts['rows'])) == (0, 5, 12)
    assert {'command', 'versions', 'hardware'} <= set(facts)
    for name in ('cutout_ratio.png', 'cutout_masks.png'):
        assert (out / name).read_bytes().startswith(b'\x89PNG')
    printed = capsys.readouterr().out
    assert 'RCC, inside, area (default)' in printed
    assert str(out / 'cutout_ratio.csv') in printed


def test_every_command_has_help_and_can_be_called(capsys):
    for name in analyze.COMMANDS:
        with pytest.raises(SystemExit) as stop:
            analyze.main([name, '--help'])
        assert stop.value.code == 0
        assert '--out' in capsys.readouterr().out


def test_without_a_command_the_usage_is_shown(capsys):
    with pytest.raises(SystemExit):
        analyze.main([])
    assert 'COMMAND' in capsys.readouterr().err
