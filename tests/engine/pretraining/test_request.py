"""What is typed is what arrives, or one sentence."""

import re
from pathlib import Path

import pytest

from mmdssl.engine.command_line import Typed
from mmdssl.engine.pretraining.request import read_request


def asked(**values):
    values = {'data': 'photos', 'out': 'run', **values}
    return read_request('ibot', {key: Typed(value) for key, value in values.items()})


@pytest.mark.parametrize('name', ['my photos', '007', 'a,b', '[2024]', 'True', 'x=y', ' lead'])
def test_a_folder_may_be_called_anything(name):
    assert asked(data=name).data == Path(name)


def test_quotes_say_that_it_is_a_text():
    assert asked(data='"None"').data == Path('None')


@pytest.mark.parametrize(
    ('key', 'value', 'sentence'),
    [
        ('epochs', '007', 'epochs=007: give a whole number of at least 1'),
        ('epochs', '1.5', 'epochs=1.5: give a whole number'),
        ('epochs', '1,2', 'epochs=1,2: give a whole number'),
        ('epochs', '-3', 'epochs=-3: give a whole number'),
        ('batch', '0', 'batch=0: give a whole number of at least 1'),
        ('workers', 'many', 'workers=many: give a whole number of at least 0'),
        ('views.size', '8', 'views.size=8: give a whole number of at least 16'),
        ('lr', '1e', 'lr=1e: give a number above 0'),
        ('lr', 'nan', 'lr=nan: give a number above 0'),
        ('lr', '0', 'lr=0: give a number above 0'),
        ('resume', 'yes', 'resume=yes: give true or false'),
        ('precision', 'int8', 'precision=int8: give one of bf16, fp16, fp32'),
        ('out', '""', 'out is empty'),
        ('epoch', '3', 'no option epoch: is epochs meant'),
    ],
)
def test_what_makes_no_sense_is_one_sentence(key, value, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as failure:
        asked(**{key: value})
    assert '\n' not in str(failure.value)


@pytest.mark.parametrize(
    ('values', 'sentence'),
    [
        (dict(data='p'), 'out is missing'),
        (dict(out='r'), 'data is missing'),
        (dict(data='p', out='r', resume='true', overwrite='true'), 'give one of them'),
        (dict(data='p', out='r', batch='8', **{'train_dataloader.batch_size': '9'}), 'given twice'),
    ],
)
def test_what_is_missing_or_contradicts_itself(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_request('ibot', {key: Typed(value) for key, value in values.items()})


def test_entries_of_the_config_that_others_depend_on_are_options():
    found = asked(**{'train_dataloader.batch_size': '16', 'optim_wrapper.optimizer.lr': '0.1'})
    assert (found.batch, found.lr, found.entries) == (16, 0.1, {})


def test_other_entries_keep_their_characters():
    found = asked(**{'model.decoupling.weight': '0.2'})
    assert found.entries == {'model.decoupling.weight': '0.2'}


def test_values_of_python_are_taken_as_they_are():
    found = read_request('ibot', dict(data=Path('p'), out='r', epochs=3, lr=1e-3, resume=False))
    assert (found.data, found.epochs, found.lr) == (Path('p'), 3, 1e-3)
    with pytest.raises(ValueError, match='epochs=True'):
        read_request('ibot', dict(data='p', out='r', epochs=True))


def test_a_file_is_a_config_and_may_bring_its_own_data(tmp_path):
    assert read_request('my.py', dict(out='r')).config_file == Path('my.py')
    assert read_request('ibot', dict(data='p', out='r')).config_file is None
