"""The page in a browser: a click changes the maps to the right ones, LSC toggles, no errors."""

import json
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmdssl.visualization.affinity import point_affinity
from mmdssl.visualization.affinity_page import write_affinity_page
from tests.browser import Browser, browser

FOCUS = 'document.activeElement'
RIGHT, DOWN, TAB = '\ue014', '\ue015', '\ue004'
TABLES = {
    'Coupling & <more>': [dict(network='a', value=0.5, count=3), dict(network='b', value=-1.0)]
}


def features(seed: int, side: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 40, 4, 4, generator=generator)
    return F.interpolate(coarse, size=(side, side), mode='bicubic')[0]


@pytest.fixture(scope='module')
def content() -> dict:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (2, 3, 64, 64), generator=generator, dtype=torch.uint8)
    return dict(
        images=images,
        maps={'one </script>': [features(n, 14) for n in (0, 1)],
              'two': torch.stack([features(n, 28) for n in (2, 3)])},
        lsc={'one </script>': torch.rand(2, 10, 10, generator=generator),
             'two': torch.rand(2, 28, 28, generator=generator)},
    )  # fmt: skip


@pytest.fixture(scope='module')
def page(content, tmp_path_factory):
    path = tmp_path_factory.mktemp('page') / 'report.html'
    return write_affinity_page(**content, tables=TABLES, path=path, facts={'Seed': '<7>'})


@pytest.fixture(scope='module')
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp('chromium')) as session:
        yield session


@pytest.fixture
def opened(chromium: Browser, page) -> Browser:
    chromium.open('about:blank')
    chromium.console()
    chromium.open(page.as_uri() + '#image=0&x=0.5&y=0.5')
    chromium.wait('return document.body.dataset.ready')
    return chromium


def values(session: Browser, panel: int) -> np.ndarray:
    return np.array(session.run('return Array.from(panels[arguments[0]].map.values)', panel))


def test_a_click_shows_the_affinity_of_that_point_in_every_map(opened, content):
    before = values(opened, 0)
    picture = opened.run('return panels[0].canvas.toDataURL()')
    opened.click('#source', 0.2, 0.75)
    x, y = opened.run('return [state.x, state.y]')
    assert (x, y) == (pytest.approx(0.2, abs=0.01), pytest.approx(0.75, abs=0.01))
    for panel, own in enumerate(content['maps'].values()):
        found = values(opened, panel).reshape(56, 56)
        exact = point_affinity(own[0], torch.tensor([[x, y]]))[0].numpy()
        assert np.abs(found - exact).max() < 0.02
    assert np.abs(values(opened, 0) - before).max() > 0.2
    assert opened.run('return panels[0].canvas.toDataURL()') != picture
    opened.click('.panel:nth-of-type(3) canvas.map', 0.9, 0.1)  # a map is as good as the photo
    assert opened.run('return state.x') == pytest.approx(0.9, abs=0.01)
    assert opened.console() == []


def test_the_toggle_shows_consistency_and_back(opened, content):
    affinity = opened.run('return panels[1].canvas.toDataURL()')
    opened.click('#view label:nth-of-type(2)')
    for panel, own in enumerate(content['lsc'].values()):
        np.testing.assert_allclose(values(opened, panel), own[0].flatten(), atol=1e-6)
    assert 'at point' in opened.run('return panels[1].value.textContent')
    assert opened.run('return panels[1].canvas.toDataURL()') != affinity
    opened.click('#view label:nth-of-type(1)')
    assert opened.run('return panels[1].canvas.toDataURL()') == affinity
    assert opened.console() == []


def test_the_keyboard_moves_the_point_and_a_screen_reader_hears_of_it(opened):
    opened.run('document.getElementById("source").focus()')
    before = opened.run('return document.getElementById("status").textContent')
    opened.press(RIGHT, RIGHT, DOWN)
    x, y = opened.run('return [state.x, state.y]')
    assert (x, y) == (pytest.approx(0.5 + 2 / 56), pytest.approx(0.5 + 1 / 56))
    after = opened.run('return document.getElementById("status").textContent')
    assert after != before
    assert 'two: mean cosine' in after


def test_every_control_is_reached_by_the_tab_key(opened):
    opened.run('document.activeElement.blur()')
    seen = []
    for _ in range(6):
        opened.press(TAB)
        seen.append(
            opened.run('const e = document.activeElement; return e.id || e.name || e.tagName')
        )
    assert seen == ['BUTTON', 'BUTTON', 'view', 'scale', 'photo', 'source']


def test_another_photo_and_a_common_scale(opened, content):
    opened.click('#thumbs button:nth-of-type(2)')
    opened.wait('return document.body.dataset.ready.startsWith("1 ")')
    exact = point_affinity(content['maps']['two'][1], torch.tensor([[0.5, 0.5]]))[0].numpy()
    assert np.abs(values(opened, 1).reshape(56, 56) - exact).max() < 0.02
    opened.click('#scale label:nth-of-type(2)')
    lows = opened.run('return panels.map((panel) => panel.low.textContent)')
    assert lows[0] == lows[1]
    assert opened.run('return document.querySelector("#thumbs [aria-pressed=true] img").alt') == (
        'photo 2'
    )
    assert opened.console() == []


def test_nothing_is_loaded_from_elsewhere_and_text_is_escaped(page):
    text = page.read_text()
    assert "default-src 'none'" in text
    assert not re.search(r'(src|href)\s*=\s*["\']?(https?:)?//', text)
    assert 'Coupling &amp; &lt;more&gt;' in text
    assert '&lt;7&gt;' in text
    assert '−1.000' in text
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert json.loads(data[1])['networks'] == ['one </script>', 'two']


def test_the_page_says_how_exact_it_is(page):
    assert re.search(r'two: at most 0\.0\d+, root mean square 0\.00\d+', page.read_text())


def test_the_page_gets_coarser_to_stay_within_its_size(content, tmp_path):
    arguments = dict(tables={}, path=tmp_path / 'small.html')
    whole = write_affinity_page(**content, **arguments).stat().st_size
    limit = whole - 20_000
    assert write_affinity_page(**content, **arguments, max_bytes=limit).stat().st_size <= limit
    with pytest.raises(ValueError, match='show fewer photos or networks'):
        write_affinity_page(**content, **arguments, max_bytes=10_000)


def test_without_lsc_there_is_no_toggle(content, tmp_path):
    given = content | dict(lsc=None)
    text = write_affinity_page(**given, tables={}, path=tmp_path / 'page.html').read_text()
    assert '<fieldset id="view" hidden>' in text


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(maps={}), 'needs photos and networks'),
        (dict(images=torch.zeros(2, 3, 8, 9, dtype=torch.uint8)), 'photos must be square'),
        (dict(lsc={'two': []}), 'features of'),
        (dict(names=['a']), "2 photos need one entry each, got {'names': 1}"),
    ],
)
def test_what_does_not_fit_together_is_named(content, tmp_path, change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        write_affinity_page(**(content | change), tables={}, path=tmp_path / 'page.html')
