"""``mmdssl COMMAND``: a light list of commands, a module behind each, shims in ``tools``."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmdssl import cli
from mmdssl.cli.arguments import command_text, renamed
from tests.reference import ROOT

SHIMS = sorted(
    path for path in ROOT.glob('tools/*.py') if 'The same as ``mmdssl' in path.read_text()
)
#: Written by others: offered only where they are installed.
OPTIONAL = {'pretrain', 'study'}


def helped(name: str, capsys: pytest.CaptureFixture[str], *part: str) -> str:
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f'mmdssl.cli.{name}').main([*part, '--help'])
    assert end.value.code == 0
    return capsys.readouterr().out


def test_the_list_of_commands_needs_nothing_but_python():
    code = (
        f'import sys\nsys.path.insert(0, {str(ROOT)!r})\n'
        'from mmdssl.cli import main\nassert main(["--help"]) == 0\n'
        'print({name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names)'
    )
    command = [sys.executable, '-I', '-S', '-c', code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    *listed, imported = run.stdout.splitlines()
    assert ast.literal_eval(imported) == {'__main__', 'mmdssl'}
    for name in set(cli.COMMANDS) - OPTIONAL:
        assert f'  {name:<12} {cli.COMMANDS[name]}' in listed


def test_help_does_not_wait_for_torch():
    code = (
        'import contextlib, io, sys\nfrom mmdssl.cli import main\n'
        'for name in sys.argv[1:]:\n'
        '    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n'
        '        main([name, "--help"])\n'
        '    print(name, "torch" in sys.modules)'
    )
    command = [sys.executable, '-c', code, *cli.COMMANDS]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.splitlines() == [f'{name} False' for name in cli.COMMANDS]


def test_pages_and_headers_name_the_command_and_not_its_shim():
    pages = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md']
    for folder in ('configs', 'projects', 'docs'):
        pages += [path for path in (ROOT / folder).rglob('*') if path.suffix in ('.md', '.py')]
    shims = '|'.join(re.escape(path.name) for path in SHIMS)
    wrong = [page for page in pages if re.search(rf'(?<![\w/])tools/({shims})', page.read_text())]
    assert wrong == []
    assert len(pages) > 150


def test_every_command_has_a_module_and_says_what_it_does():
    modules = {path.stem for path in (ROOT / 'mmdssl/cli').iterdir() if path.stem != '__pycache__'}
    assert set(cli.COMMANDS) - OPTIONAL <= modules
    for line in cli.COMMANDS.values():
        assert 20 < len(line) < 80
        assert not line.endswith('.')


def test_the_command_gets_the_rest_of_the_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['mmdssl', 'trials', 'no such run', '--metric', 'a'])
    assert cli.main() == 2
    assert 'no such run holds no scores' in capsys.readouterr().err
    assert sys.argv == ['mmdssl trials', 'no such run', '--metric', 'a']
    assert command_text() == "mmdssl trials 'no such run' --metric a"
    monkeypatch.setattr(sys, 'argv', ['tools/train.py', 'a b.py'])
    assert command_text() == "python tools/train.py 'a b.py'"


@pytest.mark.parametrize(
    ('word', 'said'),
    [
        ('trian', "did you mean 'train'?"),
        ('make_proposals', "did you mean 'proposals'?"),
        ('qqq', 'mmdssl --help lists them'),
    ],
)
def test_an_unknown_command_is_one_sentence_with_the_nearest_name(word, said, capsys):
    assert cli.main([word]) == 2
    assert capsys.readouterr().err == f'error: mmdssl has no command {word!r}: {said}\n'


def test_no_command_at_all_shows_the_list_and_fails(capsys):
    assert cli.main([]) == 2
    assert '  doctor ' in capsys.readouterr().out


def test_a_package_that_is_missing_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, '__path__', [*cli.__path__, str(tmp_path)])
    for name, missing in (('bare', 'no_such_package.part'), ('broken', 'mmdssl.no_such_module')):
        (tmp_path / f'{name}.py').write_text(f'import {missing}\n')
        monkeypatch.setitem(cli.COMMANDS, name, 'of this test')
    assert cli.main(['bare']) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: mmdssl bare needs no_such_package, which is not installed')
    assert error.count('\n') == 1
    with pytest.raises(ModuleNotFoundError, match='no_such_module'):  # a fault of the code
        cli.main(['broken'])


@pytest.mark.parametrize('path', SHIMS, ids=lambda path: path.stem)
def test_a_shim_is_its_command_with_the_names_it_always_had(path: Path, capsys):
    text = path.read_text()
    assert len(text.splitlines()) < 15
    (name,) = re.findall(r'from mmdssl\.cli\.(\w+) import main', text)
    assert name in cli.COMMANDS or name == 'benchmark_gpu'
    for former, now in ast.literal_eval((re.findall(r'\{.*\}', text) or ['{}'])[0]).items():
        part = dict(convert=['export'], analyze=['report']).get(name, [])
        found = re.findall(r'--[\w-]+', helped(name, capsys, *part))
        assert now in found
        assert former not in found


def test_there_is_a_shim_for_every_script_of_before():
    assert {path.stem for path in SHIMS} >= {
        *('analyze', 'benchmark', 'benchmark_gpu', 'browse_dataset', 'check_env', 'convert'),
        *('demo', 'make_openimages_mini', 'make_proposals', 'make_scenes', 'summarize_trials'),
        *('test', 'train'),
    }


def test_former_names_are_replaced_where_they_are_options():
    given = ['a', '--what', 'teacher', '--what=student', '--whatever', 'what']
    now = ['a', '--source', 'teacher', '--source=student', '--whatever', 'what']
    assert renamed(given, {'--what': '--source'}) == now


def test_the_same_option_has_the_same_words_in_every_command(capsys):
    """Where options of one name take values, the values and what is said of them agree."""
    said: dict[str, dict[str, str]] = {}
    for name, parts in {
        **dict.fromkeys(('train', 'test', 'browse', 'proposals', 'scenes'), ('',)),
        'convert': ('export', 'import'),
        'analyze': ('coupling', 'object-knn', 'report'),
    }.items():
        for part in parts:
            text = helped(name, capsys, *filter(None, [part]))
            for entry in re.split(r'\n  (?=-)', text.partition('\noptions:')[2])[1:]:
                option = re.match(r'-[\w-]+', entry)[0]
                said.setdefault(option, {})[f'{name} {part}'] = ' '.join(entry.split())
    for option, different in {
        '--launcher': 1,
        '--workers': 1,
        '--source': 2,  # of one checkpoint, of several
        '--amp': 2,  # coupling knows bf16 and off
        '--min-coverage': 2,  # two defaults
    }.items():
        assert len(said[option]) > 1, option
        assert len(set(said[option].values())) == different, option
    for entry in said['--cfg-options'].values():
        assert 'override config values, e.g.' in entry
