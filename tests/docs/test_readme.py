"""README: its commands run in order from a fresh clone, its snippets and its numbers are true."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.docs.page import commands, load, options_of
from tests.reference import ROOT

TEXT = (ROOT / 'README.md').read_text()
RESULTS = (ROOT / 'docs/results.md').read_text()
# What runs for minutes runs for seconds here, by options the tools document; each left side stands
# in one command. The environment is that of the tests.
SMALL = {
    'make demo': 'python tools/demo.py --images 30 --val-images 40 --iters 3',
    '. .venv/bin/activate': 'true',
    'out=work_dirs/mine\n': 'out=work_dirs/mine epochs=1 batch=8 max_images=24 views.size=64\n',
    'train $CONFIG --cfg-options data_root=$PHOTOS': 'train $CONFIG --cfg-options '
    'data_root=$PHOTOS train_cfg.max_iters=3 param_scheduler.0.warmup_iters=1',
    '--pairs crop --num-samples 50': '--pairs crop --num-samples 4 --size 128',
    'position $CONFIG': 'position --num-samples 2 $CONFIG',
    'consistency $CONFIG': 'consistency --num-samples 2 --size 128 $CONFIG',
    'report $CONFIG': 'report --num-samples 2 --no-lsc $CONFIG',
    'analyze cutout-ratio': 'analyze cutout-ratio --repeats 5',
}


def small() -> list[str]:
    text = '\n'.join(commands(TEXT))
    for long, short in SMALL.items():
        assert text.count(long) == 1, f'{long!r} stands {text.count(long)} times in README'
        text = text.replace(long, short)
    return text.splitlines()


def snippets() -> list[str]:
    return re.findall(r'^```python\n(.*?)^```', TEXT, re.M | re.S)


def test_every_command_is_of_a_tool_that_has_these_options():
    for line in small():
        words = shlex.split(line)
        if words[0] != 'mmdssl':
            shell = words == ['true'] or re.match(r'[A-Z]+=|python tools/demo.py ', line)
            assert shell, line
            continue
        given = {word for word in words if word.startswith('--')}
        assert given <= options_of(words), line


def test_the_first_commands_of_the_site_are_those_of_readme():
    """And so they run with them, below."""
    demo, *rest = commands(load('index.md'))
    assert demo == 'mmdssl demo'  # make demo without make
    assert '\n'.join(rest) in '\n'.join(commands(TEXT))


def test_links_lead_somewhere():
    for target in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', TEXT):
        assert (ROOT / target).exists(), target
    for name in re.findall(r'(?:configs|tools|projects)/[\w/.-]+\.(?:py|sh)', TEXT):
        assert (ROOT / name).is_file(), name


def test_the_one_line_is_a_whole_config(tmp_path):
    from mmdssl.engine.config import load_config

    (snippet,) = (one for one in snippets() if 'DecouplingBranch' in one)
    assert len(snippet.splitlines()) == 2  # the base, and one line
    folder = ROOT / 'configs/ibot'
    mine = tmp_path / 'mine.py'
    mine.write_text(snippet.replace("'./", f"'{folder}/"))
    published = load_config(folder / 'ibot-d_vit-small-p16_8xb64-coslr-800e_coco.py').to_dict()
    written = load_config(mine).to_dict()
    for key in ('model', 'train_dataloader', 'optim_wrapper', 'param_scheduler', 'custom_hooks'):
        assert written[key] == published[key], key


def test_the_snippet_of_the_backbone_loads_all_or_nothing():
    """Its initializer is that of every config of ours; nothing advises the one that goes on."""
    (snippet,) = (one for one in snippets() if 'init_cfg' in one)
    assert "type='mmdssl.PretrainedBackbone'" in snippet
    pages = [p for part in ('configs', 'projects', 'docs') for p in (ROOT / part).rglob('*')]
    for path in [ROOT / 'README.md', *(p for p in pages if p.suffix in ('.md', '.py'))]:
        assert "type='Pretrained'" not in path.read_text(), path


COLUMNS = [
    'O-KNN',
    'O-KNN-D',
    'clean bank',
    'background invariance',
    'angular coupling',
    'CR inter',
    'CR intra',
    'intra, all',
]


def table_rows(text: str) -> list[dict[str, str]]:
    """Rows of the tables that measure coupling, by the names of their columns."""
    rows, head = [], None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        if not line.startswith('|'):
            head = None
        elif head is None:
            head = cells
        elif 'background invariance' in head and not set(line) <= set('|-'):
            rows.append({'': cells[0], **dict(zip(head, cells, strict=True)), 'of': head[0]})
    return rows


def test_every_comparison_is_reported_with_every_measure():
    """The results are the rows 'minus base' of the study: all columns, no row left out."""
    study = table_rows((ROOT / 'docs/controlled_study.md').read_text())
    pairs = [row for row in study if row[''] == '-D minus base']
    shown = [row for row in table_rows(RESULTS) if row['of'] == 'pair']
    assert len(pairs) == 6
    assert [[r[c] for c in COLUMNS] for r in shown[:6]] == [[r[c] for c in COLUMNS] for r in pairs]
    assert all(pair['CR intra'].startswith('+') for pair in pairs)
    assert 'in all six paired comparisons' in RESULTS


def test_single_seeds_are_reported_with_every_measure():
    shapes, photos = [row for row in table_rows(RESULTS) if row['of'] == 'pair'][6:]
    study = table_rows((ROOT / 'docs/controlled_study.md').read_text())
    study = [row for row in study if row['of'].startswith('iBOT, one seed')]
    two = [next(r for r in study if r[''] == name) for name in ('**-D**', 'base')]
    mini = [
        row
        for row in table_rows((ROOT / 'configs/coco_mini/README.md').read_text())
        if row[''].startswith('400')
    ]
    assert len(mini) == 2
    for row, (branch, base) in ((shapes, two), (photos, mini[::-1])):
        for column in COLUMNS:
            want = float(branch[column]) - float(base[column])
            assert float(row[column]) == pytest.approx(want, abs=1e-6), (row[''], column)


def test_what_rcc_cuts_is_what_readme_says():
    from mmdssl.datasets.transforms.region_collaborative_cutout import cut_regions, rasterise
    from mmdssl.datasets.transforms.regions import GridRegions

    side, rng, regions = 14, np.random.default_rng(0), GridRegions()
    for collaborative, words in (
        (True, r'it cuts ([\d.]+) ± ([\d.]+)\s+\(90 % of the regions: ([\d.]+) to ([\d.]+)\)'),
        (False, r'plain cutout ([\d.]+) ± ([\d.]+) \(([\d.]+) to ([\d.]+)\)'),
    ):
        cut = []
        for _ in range(2000):
            boxes = regions.boxes_from(rng.random(36).tolist(), height=side, width=side)
            mask = cut_regions(
                boxes,
                ratios=[0.4] * 9,
                height=side,
                width=side,
                draws=rng.random(18).tolist(),
                collaborative=collaborative,
            )
            cells, _ = rasterise(boxes, side, side)
            cut += [mask[y : y2 + 1, x : x2 + 1].mean() for x, y, x2, y2 in cells]
        stated = [float(number) for number in re.search(words, TEXT).groups()]
        measured = [np.mean(cut), np.std(cut), *np.quantile(cut, [0.05, 0.95])]
        np.testing.assert_allclose(stated, measured, atol=0.011)


def fresh_clone(folder: Path) -> Path:
    """The files that a clone has; links to them where this is no checkout."""
    listed = subprocess.run(
        ['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        for name in ('configs', 'tools', 'projects', 'mmdssl'):
            (folder / name).symlink_to(ROOT / name)
        return folder
    for name in listed.stdout.split('\0'):
        if name and not name.startswith('tests/') and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.mark.slow
def test_all_commands_run_in_order_from_a_fresh_clone(tmp_path):
    """python -m pytest -m slow tests/docs/test_readme.py"""
    folder = fresh_clone(tmp_path)
    run = subprocess.run(
        ['bash', '-c', 'set -e\n' + '\n'.join(small())],
        cwd=folder,
        env={
            **os.environ,
            'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
            'PYTHONPATH': str(folder),
            'OMP_NUM_THREADS': '1',
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, (run.stdout + run.stderr)[-4000:]
    work = folder / 'work_dirs'
    made = [
        'demo/report.html',
        'mine/iter_3.pth',
        'ibot-d_vit-micro-p16_1xb24-250i_photos/iter_3.pth',
    ]
    made += [f'analysis/{n}.csv' for n in ('object_knn', 'coupling', 'position', 'consistency')]
    assert [name for name in made if not (work / name).is_file()] == []
    assert (folder / 'weights/my-vit_mmdet.pth').is_file()
    assert (folder / 'report.html').is_file()
    assert len(list((folder / 'public').glob('*.pth'))) == 1
    assert (folder / 'data/demo/proposals/ss_train.npz').is_file()
    assert 'oknn_d' in run.stdout


def test_what_readme_repeats_of_the_results_stands_there():
    table = TEXT[TEXT.index('## Results') : TEXT.index('## Documentation')]
    for number in ('2,731', '2,172', '832', '27.0', '32.6', '31.7', '8,090'):
        assert number in table, number
        assert number in RESULTS, number


def test_citation_names_the_version_and_the_paper():
    import yaml

    from mmdssl.version import __version__

    cited = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert cited['version'] == __version__
    assert cited['license'] == 'Apache-2.0'
    (paper,) = cited['references']
    assert paper['title'] in TEXT.replace('\n', ' ')
    for author in paper['authors']:
        assert author['given-names'] in TEXT
