"""Published values of all studies of D3SSL against the paper's text, cell by cell."""

import re

import pytest

from mmdssl.studies import load_study

PAPER = 'papers/000_8a4a92861c7adc16.txt'
TABLES = range(1, 8)
# What stands in the columns of the paper, as it is measured here.
VOC = ['transfer/pascal_voc/mAP', 'transfer/pascal_voc/AP50', 'transfer/pascal_voc/AP75']
COCO = [f'transfer/coco/{of}_mAP{at}' for of in ('bbox', 'segm') for at in ('', '_50', '_75')]
COUNTS = ('images', 'objects_per_image', 'categories_per_image', 'categories')
CR = 'cr_inter_cosine/last@0/mean'
COLUMNS = {
    1: [*VOC, *COCO],
    2: [f'data/{name}' for name in COUNTS],
    3: [*VOC, *COCO],
    4: [f'{one}/{top}' for one in ('oknn', 'oknn_d') for top in ('top1', 'top5')],
    5: VOC[:1],
    6: [*VOC, CR],
    7: [CR, 'mcs/last/mean', VOC[0]],
}


def published(number):
    return load_study(f'd3ssl/d3ssl_table_{number}').published[0]


def rows_of(text, number):
    """Names and values of a table of the paper: the lines with tabs that its caption follows.

    A cell is a number, perhaps with its step from the base beside it; a mere dash is none.
    """
    lines = text.splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith(f'Table {number}:')) - 1
    start = next(i for i in range(end - 1, 0, -1) if '\t' not in lines[i]) + 1
    cells = [line.rstrip('\t').split('\t') for line in lines[start:end]]
    return [(name_of(one), [value_of(cell) for cell in rest]) for one, *rest in cells]


def name_of(cell):
    """Without markup, and without what is cited: ``MoCo v2[7](CVPR20)``."""
    plain = re.sub(r'\[.*|\\mathbf|\\mathcal|[$^{}\\_]', '', cell)
    return re.sub(r'[^a-z0-9/+]', '', plain.lower())


def value_of(cell):
    found = re.match(r'[\s$]*(?:<u>)?([\d.]+)(K?)', cell)
    return float(found[1]) * (1000 if found[2] else 1) if found else None


def differences(table, text, number):
    """Cells of a study that are not as the paper has them; of Table 5 all rows are one cell."""
    if number == 5:
        block = text.split('Table 5:')[0].rpartition('\\begin{array}')[2]
        values = [float(one) for one in re.findall(r'\d\d\.\d', block)]  # steps are below 10
        own = [value for row in table.rows.values() for value in row]
        return [] if own == values else [(own, values)]
    paper = {name: values for name, values in rows_of(text, number) if any(values)}
    assert len(paper) == len(table.rows)
    names = {name_of(name): name for name in table.rows}
    names |= {'soco+augd3ssl': 'SoCo+Aug', 'w/oldp': 'w/o L_dp', 'w/ldp': 'w/ L_dp'}
    return [
        (names[name], own, value)
        for name, values in paper.items()
        for own, value in zip(table.rows[names[name]], values, strict=True)
        if own != value
    ]


@pytest.mark.parametrize('number', TABLES)
def test_published_values_are_those_of_the_paper(shared, number):
    assert differences(published(number), shared(PAPER).read_text(), number) == []
    assert list(published(number).columns) == COLUMNS[number]


@pytest.mark.parametrize('number', TABLES)
def test_a_changed_value_would_be_seen(shared, number):
    text, table = shared(PAPER).read_text(), published(number)
    for name, values in table.rows.items():
        for column, value in enumerate(values):
            other = 1.0 if value is None else value + 0.1
            table.rows[name] = (*values[:column], other, *values[column + 1 :])
            assert len(differences(table, text, number)) == 1, (name, column)
        table.rows[name] = values


def test_rows_of_table_5_fit_the_ticks_that_the_text_has_kept(shared):
    lines = shared(PAPER).read_text().split('Table 5:')[0].splitlines()
    cells = next(line for line in reversed(lines) if '\t' in line).split('\t')[:5]
    heads = ['random cutout', 'box jitter', 'PRC', 'RBJ', 'PRM']
    ticks = [len(re.findall(r'√|\\checkmark', cell)) for cell in cells]
    rows = [name.split(', ') for name in published(5).rows]
    assert ticks == [sum(head in row for row in rows) for head in heads] == [1, 1, 4, 2, 1]


@pytest.mark.parametrize('figure', ['3b', '4b'])
def test_figures_claim_no_number(figure):
    """The paper draws them; its text has no value of a layer."""
    (table,) = load_study(f'd3ssl/d3ssl_figure_{figure}').published
    assert {value for row in table.rows.values() for value in row} == {None}
    assert ' '.join(table.rows) == 'MoCo v2 point-level DenseCL ReSim PLRC SoCo D3SSL'
