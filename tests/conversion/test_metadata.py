"""The origin is read from the config's text, which is never run."""

import pytest

from mmdssl.conversion.metadata import method_of, origin


@pytest.mark.parametrize(
    ('text', 'method'),
    [
        ("model = dict(backbone=dict(type='ResNet'), type='SoCo')", 'SoCo'),
        ("model = dict(type='mmdssl.IBOT')", 'IBOT'),
        ('lr = 1', None),
        ("model = load('x')", None),
        ('model = dict(', None),
        ("open('/tmp/pwned', 'w')\nmodel = dict(type='A')", 'A'),
    ],
)
def test_method_is_the_type_of_the_model(text, method):
    assert method_of(text) == method


def test_official_epoch_and_unknown_files():
    assert origin(dict(epoch=800, args=None))['epoch'] == 800
    assert set(origin({})) == {'converted_with'}
    assert set(origin(dict(meta=None))) == {'converted_with'}
