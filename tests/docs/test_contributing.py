"""CONTRIBUTING leads to files that are there, and draws the floors that are held."""

import re

from tests.conftest import ROOT

TEXT = (ROOT / 'CONTRIBUTING.md').read_text()


def test_links_lead_somewhere():
    for target in re.findall(r'\]\(([^):#]+)\)', TEXT):
        assert (ROOT / target).exists(), target
    for name in re.findall(r'`((?:mmdssl|tests|configs|docs|tools)/[\w/.-]+)`', TEXT):
        assert (ROOT / name).exists(), name


def test_the_picture_shows_the_floors_in_the_order_that_is_held():
    (picture,) = re.findall(r'```\n(  cli .*?)```', TEXT, re.S)
    drawn = re.findall(r'^  (\w+) ', picture, re.M)
    assert drawn.pop() == 'ground'
    (layers,) = re.findall(
        r'^layers = \[(.*?)\]', (ROOT / 'pyproject.toml').read_text(), re.M | re.S
    )
    held = re.findall(r'"\(?(\w+)', layers)
    assert drawn == [name for name in held if name in drawn]
    folders = {path.parent.name for path in (ROOT / 'mmdssl').glob('*/__init__.py')}
    assert folders - set(drawn) <= {'transfer'}
