"""Write metafile.yml of every config folder and model-index.yml from the headers of the configs.

    python tools/make_model_index.py            # write
    python tools/make_model_index.py --check    # say what is out of date, exit 1 if anything is

The header of a config is the one place where its scores stand: what a paper has published, and
what was measured here, or which page has it. ``Published`` and ``Measured`` of a metafile repeat
the header's words; ``Results``, in OpenMMLab the scores of released weights, stays empty, because
none are released. Nothing is imported, no config is run.
"""

import argparse
import ast
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mmdssl.core.checkpointing import atomic_text
from mmdssl.engine.command_line import CommandLine

ROOT = Path(__file__).resolve().parents[1]
#: Entries of a header: one of each group is needed, the others stand where they say something.
NEEDED = (('Reproduces', 'Purpose'), ('Command',), ('Measured',))
ENTRIES = ('Reproduces', 'Purpose', 'Command', 'Costs', 'Published', 'Measured')

#: Methods by the first word of a config's name: collection, architecture and paper.
METHODS: Mapping[str, tuple[str, str, dict[str, str]]] = {
    'ibot': ('iBOT', 'ViT', dict(Title='Image BERT Pre-Training with Online Tokenizer')),
    'densecl': (
        'DenseCL',
        'ResNet',
        dict(Title='Dense Contrastive Learning for Self-Supervised Visual Pre-Training'),
    ),
    'mocov2': (
        'MoCo v2',
        'ResNet',
        dict(Title='Improved Baselines with Momentum Contrastive Learning'),
    ),
    'pointlevel': (
        'Point-level baseline',
        'ResNet',
        dict(Title='De-coupling and De-positioning Dense Self-supervised Learning'),
    ),
    'pixpro': (
        'PixPro',
        'ResNet',
        dict(
            Title='Propagate Yourself: Exploring Pixel-Level Consistency for Unsupervised Visual '
            'Representation Learning'
        ),
    ),
    'byol': (
        'BYOL',
        'ResNet',
        dict(Title='Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning'),
    ),
    'resim': (
        'ReSim',
        'ResNet',
        dict(Title='Region Similarity Representation Learning'),
    ),
    'soco': (
        'SoCo',
        'ResNet-C4',
        dict(Title='Aligning Pretraining for Detection via Object-Level Contrastive Learning'),
    ),
    'd3ssl': (
        'D3SSL',
        'ResNet-C4',
        dict(Title='De-coupling and De-positioning Dense Self-supervised Learning'),
    ),
    'maskalign': (
        'MaskAlign',
        'ViT',
        dict(Title='Stare at What You See: Masked Image Modeling without Reconstruction'),
    ),
    'leopart': (
        'Leopart',
        'ViT',
        dict(Title='Self-Supervised Learning of Object Parts for Semantic Segmentation'),
    ),
    'slotcon': (
        'SlotCon',
        'ResNet',
        dict(Title='Self-Supervised Visual Representation Learning with Semantic Grouping'),
    ),
    'neco': (
        'NeCo',
        'ViT',
        dict(
            Title="Near, far: Patch-ordering enhances vision foundation models' scene understanding"
        ),
    ),
    'plrc': (
        'PLRC',
        'ResNet',
        dict(Title='Point-Level Region Contrast for Object Detection Pre-Training'),
    ),
    'selfemd': (
        'Self-EMD',
        'ResNet',
        dict(Title='Self-EMD: Self-Supervised Object Detection without ImageNet'),
    ),
    'crossdistill': (
        'CrossDistillation',
        'any',
        dict(Title='Mind Your Augmentation: The Key to Decoupling Dense Self-Supervised Learning'),
    ),
    'distill': (
        'DenseDistillation',
        'any',
        dict(Title='Mind Your Augmentation: The Key to Decoupling Dense Self-Supervised Learning'),
    ),
}


def read_header(path: Path) -> dict[str, str]:
    """The first sentence (``summary``) and the entries of a config's docstring, on one line each.

    ``Published`` is 'none' where nothing is.

    Raises:
        ValueError: There is no docstring, or an entry is missing.
    """
    text = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
    if not text:
        raise ValueError(f'{path}: a config begins with a docstring that describes it')
    header = {'summary': ' '.join(text.split('\n\n')[0].split()), 'Published': 'none'}
    for entry in ENTRIES:
        found = re.search(rf'^{entry}:(.*?)(?=^\S|\Z)', text, re.DOTALL | re.MULTILINE)
        if found:
            header[entry] = ' '.join(found[1].split())
    for one_of in NEEDED:
        if not any(entry in header for entry in one_of):
            names = ' or '.join(f"'{entry}:'" for entry in one_of)
            raise ValueError(f'{path}: its docstring has no entry {names}')
    return header


def describe(path: Path) -> dict[str, Any]:
    """A model of a metafile: what the name and the header of a config say."""
    header = read_header(path)
    stem = path.stem
    batch = re.search(r'_(\d+)xb(\d+)', stem)
    length = re.search(r'(\d+)([ei])(?=_)', stem)
    metadata: dict[str, Any] = {'Training Data': stem.rpartition('_')[2]}
    if batch:
        metadata['Batch Size'] = int(batch[1]) * int(batch[2])
    if length:
        metadata['Epochs' if length[2] == 'e' else 'Iterations'] = int(length[1])
    model = dict(
        Name=stem,
        Config=path.relative_to(ROOT).as_posix(),
        Metadata=metadata,
        Description=header['summary'],
        Published=header['Published'].rstrip('.'),
        Measured=header['Measured'].rstrip('.'),
        Results=None,
        Weights=None,
    )
    method = METHODS.get(re.split('[-_]', stem)[0])
    return dict(model, **({'In Collection': method[0]} if method else {}))


def _has_a_folder(name: str) -> bool:
    """Whether configs of a method are in the folder of one, not only in those of data."""
    return any(any((ROOT / 'configs' / one).glob(f'{name}[-_]*.py')) for one in METHODS)


def metafile(folder: Path) -> str:
    """Content of the metafile.yml of a folder of configs."""
    configs = sorted(folder.glob('*.py'))
    names = dict.fromkeys(re.split('[-_]', path.stem)[0] for path in configs)
    if folder.name not in METHODS:  # folders of data use the collections of the methods' own ones
        names = {name: None for name in names if not _has_a_folder(name)}
    collections = [
        dict(
            Name=METHODS[name][0],
            Metadata={'Architecture': [METHODS[name][1]]},
            Paper=METHODS[name][2],
            README=(folder / 'README.md').relative_to(ROOT).as_posix(),
        )
        for name in names
        if name in METHODS
    ]
    content = dict(Collections=collections, Models=[describe(path) for path in configs])
    return _HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=96)


def files() -> dict[Path, str]:
    """What every metafile and the index should hold."""
    folders = sorted({path.parent for path in (ROOT / 'configs').rglob('*.py')})
    folders = [f for f in folders if f.name != 'configs' and '_base_' not in f.parts]
    wanted = {folder / 'metafile.yml': metafile(folder) for folder in folders}
    index = dict(Import=[path.relative_to(ROOT).as_posix() for path in wanted])
    return wanted | {ROOT / 'model-index.yml': _HEAD + yaml.safe_dump(index, sort_keys=False)}


def main(arguments: list[str] | None = None) -> int:
    """Exit status."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true', help='write nothing')
    options = parser.parse_args(arguments)
    try:
        wanted = files()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    old = [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding='utf-8') != text
    ]
    for path in old:
        print(f'{"out of date" if options.check else "wrote"}: {path.relative_to(ROOT)}')
        if not options.check:
            atomic_text(wanted[path], path)
    if options.check and old:
        print('run: python tools/make_model_index.py', file=sys.stderr)
    return int(options.check and bool(old))


_HEAD = '# Made by tools/make_model_index.py from the headers of the configs: edit those.\n'

if __name__ == '__main__':
    sys.exit(main())
