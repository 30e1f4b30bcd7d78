"""Headless Chromium through chromedriver's own protocol (W3C WebDriver), with nothing to install.

Only what the tests of our pages need: open, click, press keys, run JavaScript, read the console,
take a screenshot.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_CHROMIUM = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')


class Browser:
    """One session of a running chromedriver."""

    def __init__(self, address: str, session: str) -> None:
        self.address = f'{address}/session/{session}'

    def call(self, method: str, path: str, **body: Any) -> Any:
        return _request(self.address + path, method, body if method == 'POST' else None)

    def open(self, url: str) -> None:
        self.call('POST', '/url', url=url)

    def run(self, script: str, *arguments: Any) -> Any:
        """Value of the JavaScript function body ``script``."""
        return self.call('POST', '/execute/sync', script=script, args=list(arguments))

    def wait(self, script: str, *, seconds: float = 30) -> Any:
        """The value of ``script`` once it is true; the last one's in the error if it never is."""
        end = time.monotonic() + seconds
        while True:
            value = self.run(script)
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f'not true within {seconds} s: {script}; {self.console()}')
            time.sleep(0.05)

    def click(self, selector: str, x: float = 0.5, y: float = 0.5) -> None:
        """A mouse click at a share of the element's width and height."""
        self.run('document.querySelector(arguments[0]).scrollIntoView({block: "center"})', selector)
        left, top, width, height = self.run(
            'const b = document.querySelector(arguments[0]).getBoundingClientRect();'
            'return [b.left, b.top, b.width, b.height]',
            selector,
        )
        place = dict(x=round(left + x * width), y=round(top + y * height))
        pointer = [
            dict(type='pointerMove', duration=0, origin='viewport', **place),
            dict(type='pointerDown', button=0),
            dict(type='pointerUp', button=0),
        ]
        self.call('POST', '/actions', actions=[dict(type='pointer', id='m', actions=pointer)])

    def press(self, *keys: str) -> None:
        """Keys as text or code points of WebDriver, e.g. '\\ue014' for the right arrow."""
        strokes = [dict(type=kind, value=key) for key in keys for kind in ('keyDown', 'keyUp')]
        self.call('POST', '/actions', actions=[dict(type='key', id='k', actions=strokes)])

    def console(self) -> list[str]:
        """Messages of the console since the last call."""
        return [entry['message'] for entry in self.call('POST', '/se/log', type='browser')]

    def screenshot(self, path: Path) -> Path:
        path.write_bytes(base64.b64decode(self.call('GET', '/screenshot')))
        return path


def _request(url: str, method: str, body: dict | None) -> Any:
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={'Content-Type': 'application/json'},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)['value']
    except urllib.error.HTTPError as error:
        raise RuntimeError(json.load(error)['value']['message'].splitlines()[0]) from error


@contextmanager
def browser(folder: Path, *, width: int = 1280, height: int = 1000) -> Iterator[Browser]:
    """A headless Chromium; skips the test where it or its driver is missing.

    Args:
        folder: For its profile.
        width: Of the window, pixels.
        height: Of the window, pixels.
    """
    program = next((found for name in _CHROMIUM if (found := shutil.which(name))), None)
    driver = shutil.which('chromedriver')
    if program is None or driver is None:
        pytest.skip('needs chromium and chromedriver (Debian: chromium, chromium-driver)')
    process = subprocess.Popen(
        [driver, '--port=0'],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = f'http://127.0.0.1:{_port_of(process)}'
        arguments = ['--headless=new', '--disable-gpu', '--disable-dev-shm-usage', '--mute-audio']
        arguments += [f'--window-size={width},{height}', f'--user-data-dir={folder}']
        arguments += ['--disable-background-networking', '--no-first-run']
        if os.geteuid() == 0:
            arguments.append('--no-sandbox')  # Chromium refuses to run as root with it
        options = {'goog:chromeOptions': dict(binary=program, args=arguments)}
        options['goog:loggingPrefs'] = dict(browser='ALL')
        session = _request(
            f'{address}/session', 'POST', dict(capabilities=dict(alwaysMatch=options))
        )['sessionId']
        try:
            yield Browser(address, session)
        finally:
            _request(f'{address}/session/{session}', 'DELETE', None)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _port_of(process: subprocess.Popen) -> int:
    """The port that the driver has found free, and says once it listens."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r'started successfully on port (\d+)', line):
            return int(found[1])
    raise RuntimeError('chromedriver did not start')
