"""The report is one file that needs nothing else and names no place it was made in."""

import base64
import io
import os
import platform
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from mmdssl.visualization.report import (
    Figure,
    Report,
    Table,
    hardware,
    versions,
    without_paths,
    write_report,
)


class Reader(HTMLParser):
    """Collects what a browser would load, and whether tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ('src', 'href', 'srcset')]
        if tag not in ('meta', 'img', 'link', 'br'):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def page(tmp_path) -> str:
    picture = tmp_path / 'one.png'
    Image.new('RGB', (4, 3), 'red').save(picture)
    report = Report(
        title='A <run>',
        lead=['First & only.'],
        table=Table(['metric', 'random'], [['O-KNN', '61.9']], 'In percent.'),
        figures=[Figure('Views', picture, 'Look here.')],
        facts={'Versions': versions(), 'Hardware': hardware()},
        texts={'Config': 'x = 1 < 2\n'},
    )
    return write_report(report, tmp_path / 'report.html').read_text()


def test_report_is_self_contained(page):
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert len(reader.sources) == 1
    kind, _, data = reader.sources[0].partition(',')
    assert kind == 'data:image/png;base64'
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (4, 3)
    assert not {'script', 'link', 'iframe', 'object'} & set(reader.tags)
    assert not re.search(r'https?://|file://|@import|url\(', page)


def test_report_shows_numbers_escaped_text_and_both_colour_schemes(page):
    assert 'A &lt;run&gt;' in page
    assert 'First &amp; only.' in page
    assert '<td>61.9</td>' in page
    assert 'x = 1 &lt; 2' in page
    assert 'prefers-color-scheme: dark' in page


def test_report_names_no_host_user_or_path(page, tmp_path):
    assert str(tmp_path) not in page
    assert os.getcwd() not in page
    host = platform.node()
    assert not host or not re.search(rf'\b{re.escape(host)}\b', re.sub('base64,[^"]*', '', page))


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ("data_root = '/home/me/data/scenes/'", "data_root = ''"),
        ("work_dir = '/tmp/x/demo'", "work_dir = 'demo'"),
        ("ann_file = 'annotations/train.json'", "ann_file = 'annotations/train.json'"),
        ('ratio=(3 / 4, 4 / 3)  # w/h', 'ratio=(3 / 4, 4 / 3)  # w/h'),
        (r"x = 'C:\Users\me\run'", "x = 'run'"),
    ],
)
def test_absolute_paths_are_cut_to_their_last_part(text, expected):
    assert without_paths(text) == expected


def test_missing_picture_is_an_error(tmp_path):
    report = Report(
        title='', lead=[], table=Table([], []), figures=[Figure('', tmp_path / 'no.png', '')]
    )
    with pytest.raises(FileNotFoundError):
        write_report(report, tmp_path / 'report.html')
    assert not (tmp_path / 'report.html').exists()


def test_page_may_load_nothing_and_run_nothing(page):
    policy = re.search(r'Content-Security-Policy"\s+content="([^"]+)"', page).group(1)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert page.index('Content-Security-Policy') < page.index('<title>')
    assert 'script' not in policy


def test_texts_that_look_like_places_of_the_template_stay_as_they_are(tmp_path):
    title = '{style} {body} @style@ @body@'
    report = Report(title=title, lead=['{title}'], table=Table(['a'], [['@title@']]), figures=[])
    page = write_report(report, tmp_path / 'report.html').read_text()
    assert page.count(title) == 2  # title and heading
    assert page.count('<table>') == 1
    assert page.count('--ground: #ffffff') == 1
    assert '<p class="lead">{title}</p>' in page
    assert '@title@' in page
