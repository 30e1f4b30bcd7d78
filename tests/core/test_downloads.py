"""Downloads: kept under the whole address, checked, and nobody waits for one that failed."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from mmdssl.core.downloads import fetch
from mmdssl.core.reading import load_checkpoint_file
from tests.conftest import ROOT
from tests.core.hostile import FOREIGN, Payload, foreign


@pytest.fixture
def server(tmp_path):
    """Pages of a web server, to be filled: path -> bytes, or a status; and its address."""
    pages: dict[str, bytes | int] = {}
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            page = pages.get(self.path, 404)
            if isinstance(page, int):
                self.send_error(page)
                return
            content, length = page if isinstance(page, tuple) else (page, len(page))
            self.send_response(200)
            self.send_header('Content-Length', str(length))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}', pages, asked
    server.shutdown()
    server.server_close()


def weights(tmp_path, value):
    path = tmp_path / f'source_{value}.pth'
    torch.save(dict(a=torch.full((500,), float(value))), path)
    return path.read_bytes()


def value_of(path):
    return load_checkpoint_file(path)['a'][0].item()


def kept(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_addresses_that_end_alike_do_not_collide(tmp_path, server):
    url, pages, asked = server
    paths = ['/a/model.pth', '/b/model.pth', '/b/model.pth?version=2']
    for number, path in enumerate(paths):
        pages[path] = weights(tmp_path, number)
    files = [fetch(url + path, tmp_path / 'hub') for path in paths]
    assert [value_of(file) for file in files] == [0, 1, 2]
    assert [value_of(fetch(url + path, tmp_path / 'hub')) for path in paths] == [0, 1, 2]
    assert asked == paths  # each once
    assert all(file.name.endswith('-model.pth') for file in files)
    assert len(kept(tmp_path / 'hub')) == 3


def test_fragment_is_no_part_of_the_address(tmp_path, server):
    url, pages, asked = server
    pages['/a.pth'] = weights(tmp_path, 1)
    assert fetch(f'{url}/a.pth#top', tmp_path) == fetch(f'{url}/a.pth', tmp_path)
    assert asked == ['/a.pth']


def test_hash_in_the_name_is_checked(tmp_path, server):
    url, pages, _ = server
    content = weights(tmp_path, 4)
    right = hashlib.sha256(content).hexdigest()[:8]
    for name in (f'/net-{right}.pth', '/net-0123abcd.pth', '/net-20240131.pth'):
        pages[name] = content
    assert value_of(fetch(f'{url}/net-{right}.pth', tmp_path / 'hub')) == 4
    assert value_of(fetch(f'{url}/net-20240131.pth', tmp_path / 'hub')) == 4  # a date is no hash
    with pytest.raises(ValueError, match=f'has the hash {right}, not 0123abcd'):
        fetch(f'{url}/net-0123abcd.pth', tmp_path / 'hub')
    assert len(kept(tmp_path / 'hub')) == 2


def test_what_torch_hub_has_kept_is_used_only_if_its_hash_proves_it(tmp_path, server):
    url, pages, asked = server
    content = weights(tmp_path, 5)
    right = hashlib.sha256(content).hexdigest()[:8]
    hub = tmp_path / 'hub'
    hub.mkdir()
    (hub / f'net-{right}.pth').write_bytes(content)
    assert fetch(f'{url}/x/net-{right}.pth', hub) == hub / f'net-{right}.pth'
    assert asked == []
    (hub / f'net-{right}.pth').write_bytes(b'<html>')
    (hub / 'plain.pth').write_bytes(weights(tmp_path, 6))
    pages[f'/x/net-{right}.pth'] = content
    pages['/plain.pth'] = weights(tmp_path, 7)
    assert value_of(fetch(f'{url}/x/net-{right}.pth', hub)) == 5
    assert value_of(fetch(f'{url}/plain.pth', hub)) == 7


@pytest.mark.parametrize('name', FOREIGN)
def test_what_is_no_checkpoint_is_refused_and_not_kept(tmp_path, server, name):
    url, pages, _ = server
    pages['/net.pth'] = foreign(name)[0]
    with pytest.raises(ValueError, match=r'net\.pth has sent is no checkpoint: it is .*not kept'):
        fetch(f'{url}/net.pth', tmp_path / 'hub')
    assert kept(tmp_path / 'hub') == []
    pages['/net.pth'] = weights(tmp_path, 8)  # after the log-in
    assert value_of(fetch(f'{url}/net.pth', tmp_path / 'hub')) == 8


def test_broken_connections_errors_and_hostile_files_leave_nothing(tmp_path, server):
    url, pages, _ = server
    content = weights(tmp_path, 1)
    torch.save(Payload(tmp_path / 'trace'), tmp_path / 'bad.pth')
    pages.update(
        {
            '/cut.pth': (content[:1500], len(content)),
            '/forbidden.pth': 403,
            '/bad.pth': (tmp_path / 'bad.pth').read_bytes(),
        }
    )
    for path, message in (
        ('/cut.pth', 'cut off'),
        ('/forbidden.pth', r'cannot be downloaded \(HTTPError: HTTP Error 403'),
        ('/missing.pth', '404'),
        ('/bad.pth', r'more than plain data \(posix\.mkdir\)'),
    ):
        with pytest.raises(ValueError, match=message):
            fetch(url + path, tmp_path / 'hub')
        assert kept(tmp_path / 'hub') == []
    with pytest.raises(ValueError, match='cannot be downloaded'):
        fetch('http://127.0.0.1:9/net.pth', tmp_path / 'hub')
    assert not (tmp_path / 'trace').exists()


def test_leftovers_of_a_killed_download_are_cleaned_up(tmp_path, server):
    url, pages, _ = server
    pages['/net.pth'] = weights(tmp_path, 1)
    target = fetch(f'{url}/net.pth', tmp_path / 'hub')
    target.rename(target.with_name(f'.{target.name}.4711.tmp'))
    (tmp_path / 'hub' / f'.{target.name}.lock').touch()
    fetch(f'{url}/net.pth', tmp_path / 'hub')
    assert kept(tmp_path / 'hub') == [target.name]


def test_folder_that_cannot_be_written_is_one_sentence(tmp_path, server):
    url, _, _ = server
    (tmp_path / 'hub').write_text('a file')
    with pytest.raises(ValueError, match='cannot be kept in'):
        fetch(f'{url}/net.pth', tmp_path / 'hub')


_PROCESS = """
import sys
from pathlib import Path
from torch import distributed
from mmdssl.core.downloads import fetch
url, folder, rank, store = sys.argv[1:]
distributed.init_process_group('gloo', init_method=f'file://{store}', rank=int(rank), world_size=2)
try:
    print(fetch(url, folder if rank == '0' else folder + sys.argv[3] * ('own' in url)).name)
except ValueError as error:
    print(error)
    raise SystemExit(2)
finally:
    distributed.destroy_process_group()
"""


def two_processes(tmp_path, url):
    """Exit codes and outputs of two ranks that fetch one address."""
    store = tmp_path / f'store{len(list(tmp_path.iterdir()))}'
    runs = [
        subprocess.Popen(
            [sys.executable, '-c', _PROCESS, url, str(tmp_path / 'hub'), str(rank), str(store)],
            env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [run.communicate(timeout=90)[0].splitlines()[-1] for run in runs]  # after gloo's
    return [run.returncode for run in runs], outputs


def test_two_processes_download_once(tmp_path, server):
    url, pages, asked = server
    pages['/net.pth'] = weights(tmp_path, 3)
    codes, outputs = two_processes(tmp_path, f'{url}/net.pth')
    assert codes == [0, 0]
    assert outputs[0] == outputs[1]
    assert asked == ['/net.pth']


@pytest.mark.slow
def test_failure_of_one_process_ends_the_other_with_the_same_sentence(tmp_path, server):
    url, pages, _ = server
    pages['/own.pth'] = weights(tmp_path, 3)
    Path(f'{tmp_path}/hub1').write_text('a file where the second process keeps downloads')
    codes, outputs = two_processes(tmp_path, f'{url}/own.pth')
    assert codes == [2, 2]
    assert outputs[0] == outputs[1]
    assert 'cannot be kept in' in outputs[0]
    codes, outputs = two_processes(tmp_path, f'{url}/missing.pth')
    assert codes == [2, 2]
    assert all('404' in said for said in outputs)
