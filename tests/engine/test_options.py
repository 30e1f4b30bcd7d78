"""What is typed behind --cfg-options is what the config gets, whatever the characters look like."""

import pytest
from mmengine.config import Config

from mmdssl.engine.command_line import CommandLine, OptionsAction, Typed, named_file
from mmdssl.engine.config import load_config
from mmdssl.engine.options import read_options
from tests.conftest import ROOT

CONFIG = Config(
    dict(
        load_from=None,
        data=dict(root='data/x/', names=['a', 'b'], size=(14, 14), scale=[0.5, 1.0]),
        number=3,
        share=0.1,
        switch=True,
        loss_scale='dynamic',
        hooks=[dict(interval=2, file='a.json')],
        train_dataloader=dict(batch_size=3),
    )
)
#: Characters that look like a number, a list, a switch, or lose something on the way.
TEXTS = [
    'my photos',
    ' leading',
    'a,b',
    '007',
    '2024',
    '1e3',
    '1_000',
    'nan',
    'true',
    'False',
    '[2024]',
    '(old)',
    '[1, 2',
    'a=b',
    "it's",
    'été',
    '-1',
    '{x}',
    '1,2',
]


def typed(*entries):
    parser = CommandLine()
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    return parser.parse_args(['--cfg-options', *entries]).cfg_options


def value(entry, config=CONFIG):
    ((_, result),) = read_options(config, typed(entry)).items()
    return result


@pytest.mark.parametrize('text', TEXTS)
@pytest.mark.parametrize('key', ['data.root', 'hooks.0.file', 'load_from', 'data.ann_file'])
def test_a_text_arrives_as_it_was_typed(key, text):
    assert value(f'{key}={text}') == text


@pytest.mark.parametrize('text', TEXTS)
def test_quotes_make_a_text_of_anything(text):
    for key in ('number', 'unknown', 'data.root', 'switch'):
        assert value(f'{key}="{text}"') == text


@pytest.mark.parametrize('text', TEXTS)
def test_data_root_arrives_in_every_path(text, tmp_path):
    file = tmp_path / 'c.py'
    file.write_text("data_root = 'data/x/'\ntrain = dict(ann_file=data_root + 'a.json')\n")
    config = load_config(file, typed(f'data_root={text}'))
    assert config.data_root == f'{text}/'
    assert config.train.ann_file == f'{text}/a.json'


@pytest.mark.parametrize(
    ('entry', 'want'),
    [
        ('number=4', 4),
        ('number=04', 4),
        ('share=1e-4', 1e-4),
        ('share=None', None),
        ('switch=false', False),
        ('unknown=5', 5),
        ('unknown=-0.5', -0.5),
        ('unknown=007', '007'),
        ('unknown=1_000', '1_000'),
        ('unknown=True', True),
        ('unknown=1,2', [1, 2]),
        ('unknown=[(1, 2), [a, b c]]', [(1, 2), ['a', 'b c']]),
        ('unknown=[]', []),
        ('unknown=""', ''),
        ('load_from=None', None),
        ('data.root=None', None),
        ('data.root=["a", "b,c"]', ['a', 'b,c']),
        ('data.names=01, my b', ['01', 'my b']),
        ('data.names=["a,b", c]', ['a,b', 'c']),
        ('data.size=(7, 8)', (7, 8)),
        ('data.size=7,8', [7, 8]),
        ('data.scale=0.3,1', [0.3, 1]),
        ('loss_scale=512', 512),
        ('loss_scale=static', 'static'),
        ('train_dataloader=None', None),
        ('test_dataloader.batch_size=2', 2),
    ],
)
def test_other_values_are_read_as_mmengine_does(entry, want):
    result = value(entry)
    assert result == want
    assert type(result) is type(want)


@pytest.mark.parametrize(
    ('entry', 'said'),
    [
        ('unknown=a,b', r'one text or a list: write unknown=\'"a,b"\''),
        ('unknown=[1,2', 'not closed'),
        ('unknown=1,,2', 'element of the list is empty'),
        ('hooks.1.interval=3', 'a list of 1, entries 0 to 0: there is no entry 1'),
        ('hooks.x.interval=3', 'no entry x'),
        ('data.root.x=3', "is 'data/x/', which has no entry 'x'"),
        ('data=photos', r'group of settings.*data\.root'),
        ('train_dataloder.batch_size=4', 'is train_dataloader meant'),
    ],
)
def test_what_leads_nowhere_or_may_mean_two_things_is_refused(entry, said):
    with pytest.raises(ValueError, match=said):
        value(entry)


def test_values_of_a_program_stay():
    given = {'data.root': '007', 'number': '5', 'new': [1, 'a,b']}
    assert read_options(CONFIG, given) == given
    assert read_options(CONFIG, {'number': Typed('5')}) == {'number': 5}


@pytest.mark.parametrize(
    ('entries', 'said'),
    [
        (['data_root='], 'data_root is empty: is a variable not set'),
        (['data_root=  '], 'data_root is empty'),
        (['data_root=my', 'photos'], "'photos' is not KEY=VALUE; a value with spaces needs quotes"),
        (['=5'], 'is not KEY=VALUE'),
        ([''], 'is empty'),
    ],
)
def test_an_empty_or_torn_option_ends_the_command(entries, said, capsys):
    with pytest.raises(SystemExit) as end:
        typed(*entries)
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_an_empty_data_root_never_means_the_whole_disk(tmp_path):
    file = tmp_path / 'c.py'
    file.write_text("data_root = 'data/x/'\n")
    for empty in ('', ' '):
        with pytest.raises(ValueError, match='data_root is empty'):
            load_config(file, {'data_root': empty})
    file.write_text("data_root = ''\nload_from = '/home/a.pth'\n")
    with pytest.raises(ValueError, match='no data_root to move'):
        load_config(file, {'data_root': 'photos'})


def test_every_command_with_options_uses_the_parser_of_this_package():
    commands = [*ROOT.glob('tools/*.py'), *ROOT.glob('mmdssl/cli/**/*.py')]
    assert len(commands) > 30
    for file in commands:
        text = file.read_text(encoding='utf-8')
        assert 'DictAction' not in text, file
        if file.name != 'doctor.py':  # has no option that takes a text, and runs without us
            assert '= argparse.ArgumentParser(' not in text, file


@pytest.mark.parametrize(
    ('arguments', 'option'),
    [
        (['--out', ''], '--out'),
        (['--out='], '--out'),
        (['--out', ' '], '--out'),
        ([''], 'argument'),
    ],
)
def test_an_empty_argument_ends_any_command(arguments, option, capsys):
    parser = CommandLine()
    part = parser.add_subparsers().add_parser('make')
    part.add_argument('file', nargs='?')
    part.add_argument('--out')
    assert parser.parse_args(['make', 'a', '--out', 'b']).out == 'b'
    with pytest.raises(SystemExit) as end:
        parser.parse_args(['make', *arguments])
    assert end.value.code == 2
    assert f'{option} is empty' in capsys.readouterr().err


def test_names_and_files_of_checkpoints(tmp_path):
    assert named_file('base=runs/a.pth') == ('base', 'runs/a.pth')
    assert named_file('base=runs/lr=0.1/a.pth') == ('base', 'runs/lr=0.1/a.pth')
    assert named_file('runs/lr=0.1/a.pth') == ('a', 'runs/lr=0.1/a.pth')
    assert named_file('runs/a.pth') == ('a', 'runs/a.pth')
    for empty in ('base=', '=a.pth'):
        with pytest.raises(ValueError, match='is not NAME=FILE'):
            named_file(empty)
