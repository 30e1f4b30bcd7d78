"""The notebook runs from the first cell to the last, in small."""

import os

import pytest

from tests.conftest import ROOT

NOTEBOOK = ROOT / 'docs' / 'notebook.ipynb'
LENGTHS = 'IMAGES, VAL_IMAGES, ITERATIONS = 1500, 350, 150'


def test_it_runs_whole(tmp_path, monkeypatch):
    nbformat = pytest.importorskip('nbformat', reason='the notebook needs the extra docs')
    nbclient = pytest.importorskip('nbclient', reason='the notebook needs the extra docs')
    pytest.importorskip('ipykernel', reason='the notebook needs the extra docs')
    monkeypatch.setenv('PYTHONPATH', f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}')
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    assert not any(cell.get('outputs') for cell in book.cells), 'it is kept without outputs'
    (cell,) = (cell for cell in book.cells if LENGTHS in cell.source)
    cell.source = cell.source.replace('1500, 350, 150', '40, 16, 2')
    client = nbclient.NotebookClient(
        book, timeout=300, kernel_name='python3', resources=dict(metadata=dict(path=str(tmp_path)))
    )
    client.execute()
    found = [out for cell in book.cells for out in cell.get('outputs', ())]
    kinds = [kind for out in found for kind in out.get('data', ())]
    assert kinds.count('image/png') == 3  # views, X^D, the photo at the end
    said = ' '.join(out.get('data', {}).get('text/plain', '') for out in found)
    assert all(word in said for word in ('trained', 'random', 'oknn_d'))
    (page,) = (out for out in found if 'iframe' in str(out))
    assert 'srcdoc' in page.data['text/html']
    assert (tmp_path / 'work_dirs/notebook/backbone.pth').is_file()
