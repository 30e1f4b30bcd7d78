"""What a study declares, and the studies that come with the package."""

import dataclasses
import re

import pytest

from mmdssl.cli.study import main
from mmdssl.core.shipped import shipped
from mmdssl.studies import Published, Row, Setting, Study, controls, load_study

SHIPPED = sorted(shipped('studies').rglob('*.py'))
CONTROLLED = load_study('mind_your_augmentation/controlled')
PAPER = 'papers/002_91588d95f5c4ab0d.txt'
BASE = Row(name='base', settings={'scenes': Setting(config='a.py')})


def test_rows_are_named_or_refused():
    assert CONTROLLED.choose(['soco:all', 'ibot'], 'scenes') == (
        'ibot',
        'soco',
        'soco-rcc',
        'soco-d',
        'soco-low-lr',
        'soco-equal-compute',
    )
    # A teacher comes along.
    chosen = CONTROLLED.choose(['leopart-d', 'maskalign'], 'scenes')
    assert chosen == ('ibot', 'maskalign', 'leopart-d')
    assert 'soco-rcc' not in CONTROLLED.choose([], 'scenes')
    with pytest.raises(ValueError, match=r"no row 'ibott': choose from ibot "):
        CONTROLLED.choose(['ibott'], 'scenes')
    with pytest.raises(ValueError, match="soco has no setting at scale 'photos'"):
        CONTROLLED.choose(['soco'], 'photos')
    with pytest.raises(ValueError, match='has no row at scale'):
        CONTROLLED.choose([], 'paper')


def test_controls_are_one_number_away():
    low, long = controls(BASE, equal_compute=1.5, optional=True)
    changes = dict(base='base', optional=True)
    assert low == dataclasses.replace(BASE, name='base-low-lr', role='low-lr', lr=0.3, **changes)
    changes |= dict(name='base-equal-compute', role='equal-compute', length=1.5)
    assert long == dataclasses.replace(BASE, **changes)
    assert low.family == long.family == 'base'


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(rows=[BASE, BASE]), 'two rows have one name'),
        (dict(rows=[dataclasses.replace(BASE, base='x')]), "its base 'x' is no row"),
        (dict(rows=[dataclasses.replace(BASE, teacher='x')]), "its teacher 'x' is no row"),
        (dict(rows=[dataclasses.replace(BASE, statistic={'type': 'x'})]), 'a statistic and none'),
        (dict(measures=['speed']), "no measure 'speed'"),
        (dict(published=[Published(title='T', columns={'a': 'A'}, rows={'x': (1,)})]), "T, 'x'"),
        (dict(published=[Published(title='T', columns={'a': 'A'}, rows={'base': ()})]), '1 values'),
    ],
)
def test_a_study_that_cannot_be_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        Study(**{'title': 't', 'rows': [BASE], **changes})


def test_a_file_without_a_study_is_refused(tmp_path):
    file = tmp_path / 'x.py'
    file.write_text('a = 1\n')
    with pytest.raises(ValueError, match='defines no study'):
        load_study(file)
    with pytest.raises(FileNotFoundError, match=r'one of .* mind_your_augmentation/controlled\.py'):
        load_study('nowhere')
    assert load_study('studies/mind_your_augmentation/table_10.py').name == 'table_10'


@pytest.mark.parametrize('file', SHIPPED, ids=lambda file: file.stem)
def test_every_row_names_configs_that_exist(file):
    settings = [s for row in load_study(file).rows for s in row.settings.values()]
    for setting in settings:
        for config in filter(None, (setting.config, *setting.judges)):
            assert (shipped('configs') / config).is_file(), config


@pytest.mark.parametrize(
    ('name', 'number', 'columns'),
    [
        ('table_4', 4, ('COCO Det.', 'OKNN', 'CR Inter', 'CR Intra')),
        ('table_5', 5, ('COCO Det.', 'OKNN', 'CR Inter', 'CR Intra')),
        ('table_6', 6, ('COCO Det.', 'COCO ISeg.', 'OKNN', 'CR Inter')),
        ('table_10', 10, ('VOC Det.', 'OKNN', 'CR Inter', 'CR Intra')),
        ('table_11', 11, ('VOC Det.', 'OKNN', 'CR Inter', 'CR Intra')),
    ],
)
def test_published_values_are_those_of_the_paper(shared, name, number, columns):
    lines = shared(PAPER).read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f'Table {number}:'))
    table = []
    for line in lines[start + 2 :]:
        if '\t' not in line:
            break
        table.append(re.sub(r'[${}]|</?sub>|\s*\t', lambda m: '|' if '\t' in m[0] else '', line))
    head, *rows = [line.split('|') for line in table]
    published = load_study(f'mind_your_augmentation/{name}').published[0]
    assert tuple(published.columns.values()) == columns
    assert [re.sub(r'[_ ]', '', one) for one in head[1:]] == [c.replace(' ', '') for c in columns]
    plain = {re.sub(r'[_ ]', '', row[0]): tuple(map(float, row[1:])) for row in rows}
    assert {name.replace('_', ''): values for name, values in published.rows.items()} == plain


@pytest.mark.parametrize(
    ('name', 'number'),
    [('table_1', 1), ('table_2', 2), ('table_3', 3), ('table_7', 7), ('table_9', 9)],
)
def test_published_values_below_two_lines_of_heads_are_those_of_the_paper(shared, name, number):
    wanted = [row for _, row in _table(shared(PAPER).read_text(), number)[2:]]
    if number == 9:  # its first column is the number of epochs
        wanted = [row[1:] for row in wanted]
    assert list(load_study(f'mind_your_augmentation/{name}').published[0].rows.values()) == wanted


@pytest.mark.parametrize('number', [12, 13])
def test_published_values_of_upright_tables_are_those_of_the_paper(shared, number):
    published = load_study(f'mind_your_augmentation/table_{number}').published[0]
    (_, heads), *lines = _table(shared(PAPER).read_text(), number)
    assert [float(name.split()[-1]) for name in published.rows] == list(heads)
    assert list(zip(*published.rows.values(), strict=True)) == [values for _, values in lines]


def test_published_hours_are_those_of_the_paper(shared):
    lines = shared(PAPER).read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('Table 8:'))
    cells = [line.split('\t') for line in lines[start + 3 : start + 11]]
    published = load_study('mind_your_augmentation/table_8').published[0]
    assert published.rows == {cell[0]: (float(cell[-1].removesuffix('h')),) for cell in cells}


def _table(text, number):
    """First cells and numbers of the lines of a table, marks of the best left out."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f'Table {number}:'))
    found = []
    for line in lines[start + 2 :]:
        if '\t' not in line:
            return found
        name, *cells = re.sub(r'</?[a-z]+>', '', line).split('\t')
        values = [cell for cell in cells if re.fullmatch(r'[\d.]+', cell)]
        found.append((name, tuple(map(float, values))))
    raise AssertionError(f'table {number} has no end')


FIGURES = {
    '2b': ('Random masking is applied to image', 'tends to approach 1, as no context regions'),
    '3b': ('We draw the  $CR$  histograms', 'mean of intra-object CR clearly decreases'),
    '6b': ('We report the  $CR$  of CNN-based models', 'The same trends can be found in CNNs'),
    '7': (
        '**Intra-object coupling of SoCo and MaskAlign.**',
        'of SoCo (Wei et al., 2021) and Mask',
    ),
    '8': ('pre-trained on COCO for 200 epochs with varying', 'strong correlation exists between'),
    '9': (
        'increasingly imprecise aligning strategies',
        'less accurate alignment of positive pairs',
    ),
    '11': ('set the cutout ratio for each region to 0.4', 'stabilizes at the preset cutout ratio'),
}


@pytest.mark.parametrize('number', FIGURES)
def test_of_a_figure_nothing_is_published_but_what_the_text_says(shared, number):
    """A caption, and of all but one a sentence: the values themselves are only drawn."""
    text = shared(PAPER).read_text()
    for words in FIGURES[number]:
        assert words in text, words
    published = load_study(f'mind_your_augmentation/figure_{number}').published
    assert {value for table in published for row in table.rows.values() for value in row} == {None}
    assert bool(published[0].says) == (number != '7')


@pytest.mark.parametrize(
    ('scale', 'files'),
    [
        pytest.param('smoke', SHIPPED, marks=pytest.mark.slow),  # more than a hundred rows
        ('cores', ['photos/from_nothing']),
    ],
)
def test_all_studies_in_turn(tmp_path, capsys, scale, files):
    words = ['all', '--scale', scale, '--seeds', '0', '--out', str(tmp_path), '--dry-run']
    assert main(words) == 0
    said = capsys.readouterr().out
    titles = [load_study(file).title for file in files]
    assert [line for line in said.splitlines() if line in titles] == titles
    assert said.count(f'\nscale {scale}: ') == len(titles)
