"""The site: `make docs` builds it without a network, and a warning is an error.

What stands elsewhere in the repository is shown and not repeated: ``{include}`` is a file or a
section of it, the commands are told by their own help, the configs by their headers.
"""

import ast
import contextlib
import importlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mmdssl.version import __version__  # noqa: E402

project = 'mmdssl'
author = 'The mmdssl authors'
copyright = f'2026, {author}. Apache-2.0'
release = version = __version__
extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
]
exclude_patterns = ['_build']
myst_enable_extensions = ['colon_fence', 'dollarmath']
myst_heading_anchors = 4
html_theme = 'furo'
html_title = f'mmdssl {release}'
html_copy_source = False
html_static_path = ['_static']
html_css_files = ['wide.css']  # lines of commands fit
autodoc_default_options = {'members': True, 'member-order': 'bysource'}
autodoc_typehints = 'none'  # the docstrings have shapes and units, which the types lack
autodoc_inherit_docstrings = False
add_module_names = False
napoleon_use_ivar = True  # an attribute is described by its class alone

#: Files, folders and sections of README that have a page here.
PAGES = {
    '#pre-train-on-your-own-images': 'pretrain',
    '#methods': 'pretrain',
    'README.md': 'index',
    'METHODS.md': 'methods',
    'CHANGELOG.md': 'project/changelog',
    'CONTRIBUTING.md': 'project/contributing',
    'studies/README.md': 'studies',
    'projects/README.md': 'own_method',
    'projects': 'own_method',
}
COMMANDS = (
    'pretrain train test analyze card convert proposals shards browse scenes study trials '
    'benchmark doctor demo'
)
_INCLUDE = re.compile(r'^```\{include\} (\S+)\n(?::section: (.+)\n)?```$', re.M)
_LINK = re.compile(r'(!?)\[([^\]]*)\]\(([^)#:\s]*)(#[^)\s]*)?\)')


def _section(text: str, title: str, level: int) -> str:
    """A section of second level, as a page of its own or a part of one."""
    found = re.search(rf'^## {re.escape(title)}\n(.*?)(?=^## |\Z)', text, re.M | re.S)
    if found is None:
        raise ValueError(f'there is no section {title!r}')
    return f'{"#" * level} {title}\n{found[1]}'


def _links(text: str, home: Path) -> str:
    """Links between pages lead to pages; other files of the repository are named by their paths."""

    def link(match: re.Match[str]) -> str:
        picture, words, target, anchor = match.groups()
        if not target and home == ROOT / 'README.md' and anchor in PAGES:
            return f'[{words}](/{PAGES[anchor]}.md{anchor})'
        if not target:
            return words if home.parent != ROOT / 'docs' else match[0]
        file = (home.parent / target).resolve()
        path = str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else target
        if picture:
            return f'![{words}](/../{path})'
        page = PAGES.get(path)
        if page is None and file.suffix == '.md' and file.parent == ROOT / 'docs':
            page = file.stem
        if page is not None:
            return f'[{words}](/{page}.md)'
        if file.suffix == '.ipynb':
            return f'{{download}}`{words} </../{path}>`'
        plain = words.strip('`')
        if text.rfind('\n|', 0, match.start()) == text.rfind('\n', 0, match.start()):
            return words  # a table is read, a path would fill it
        return f'`{path}`' if plain in (path, target) else f'{words} (`{path}`)'

    return _LINK.sub(link, text)


def _helps() -> Iterator[str]:
    """A section for each command: what ``--help`` says."""
    for name in COMMANDS.split():
        module = importlib.import_module(f'mmdssl.cli.{name}')
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
            module.main(['--help'])
        yield f'\n## mmdssl {name}\n\n```text\n{said.getvalue().strip()}\n```\n'


def _configs() -> Iterator[str]:
    """A table for each folder: name and purpose from the headers."""
    folder = ROOT / 'configs'
    for part in sorted({file.parent for file in folder.rglob('*.py')} - {folder}):
        if '_base_' in part.parts:
            continue
        yield f'\n## {part.relative_to(folder)}\n\n| config | what |\n|---|---|\n'
        for file in sorted(part.glob('*.py')):
            header = ast.get_docstring(ast.parse(file.read_text(encoding='utf-8'))) or ''
            first = header.split('\n', 1)[0].replace('|', '\\|')
            yield f'| `{file.stem}` | {first} |\n'


def _read(app: object, name: str, source: list[str]) -> None:
    """What a page says, with all that it takes from elsewhere."""
    page = ROOT / 'docs' / f'{name}.md'

    def included(match: re.Match[str]) -> str:
        home = (page.parent / match[1]).resolve()
        text = home.read_text(encoding='utf-8')
        level = 2 if match.start() else 1
        return _links(_section(text, match[2], level) if match[2] else text, home)

    text = _INCLUDE.sub(included, _links(source[0], page))
    for place, made in (('<!-- commands -->', _helps), ('<!-- configs -->', _configs)):
        if place in text:
            text = text.replace(place, ''.join(made()))
    source[0] = text


def _literal(app: object, what: str, name: str, obj: object, options: object, lines: list) -> None:
    """Formulas and commands, which docstrings only indent, are set as they stand."""
    found: list[str] = []
    outer = ''
    for line in lines:
        if line[:1].strip():
            outer = line
        begins = line.startswith('    ') and bool(found) and not found[-1].strip()
        already = outer.startswith((':', '-', '..')) or outer.endswith('::')
        if begins and not already and not _inside(found):
            found += ['::', '']
        found.append(line)
    lines[:] = found


def _inside(lines: list[str]) -> bool:
    """Whether the last lines belong to an indented block."""
    last = next((line for line in reversed(lines) if line.strip()), '')
    return last.startswith('    ')


def _skip(
    app: object, what: str, name: str, obj: object, skip: bool, options: object
) -> bool | None:
    """Fields of a named tuple are described by its class alone."""
    return True if type(obj).__name__ == '_tuplegetter' else None


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect('source-read', _read)
    app.connect('autodoc-process-docstring', _literal, priority=600)  # after napoleon
    app.connect('autodoc-skip-member', _skip)
