"""One self-contained HTML page about a run: numbers, pictures, settings, versions.

Nothing is loaded from elsewhere: pictures are embedded, fonts are the reader's
own, there is no script. What is written names no host, user or path.
"""

import base64
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from mmdssl.core.wording import printable

__all__ = ['Figure', 'Report', 'Table', 'hardware', 'versions', 'without_paths', 'write_report']

_PACKAGES = (
    'mmdssl',
    'torch',
    'torchvision',
    'onedl-mmengine',
    'mmengine',
    'onedl-mmcv',
    'mmcv',
    'onedl-mmpretrain',
    'mmpretrain',
    'numpy',
)

# A file system path of two or more parts: /home/me/data, C:\data\x.
_PATH = re.compile(r'(?<![\w.:/])(?:[A-Za-z]:[\\/]|/)(?:[^\s\'",;:()\[\]]+[\\/])+')


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        header: Column titles.
        rows: Cells; the first of each row is its name, the others are numbers.
        caption: What the numbers are, in a sentence or two.
        title: Heading above it, '' for none.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ''
    title: str = ''


@dataclass(frozen=True)
class Figure:
    """A picture with what to look for.

    Attributes:
        title: Heading.
        path: PNG file to embed.
        caption: What it shows and what to look for.
    """

    title: str
    path: Path
    caption: str


@dataclass(frozen=True)
class Report:
    """Content of the page; all text is plain and gets escaped.

    Attributes:
        title: Heading of the page.
        lead: Paragraphs below it.
        table: The numbers.
        figures: The pictures, and tables between them, in order.
        facts: Versions, hardware, times by name.
        texts: Long texts by title (the config), folded.
        wide: Whether the tables have many columns.
    """

    title: str
    lead: Sequence[str]
    table: Table
    figures: Sequence[Figure | Table]
    facts: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    wide: bool = False


def write_report(report: Report, path: str | Path) -> Path:
    """Write the page; a reader never meets half a file.

    Args:
        report: Its content.
        path: HTML file to write.

    Returns:
        The path written.

    Raises:
        FileNotFoundError: If a picture does not exist.
    """
    path = Path(path)
    body = [f'<h1>{escape(report.title)}</h1>']
    body += [f'<p class="lead">{escape(text)}</p>' for text in report.lead]
    body.append(_table(report.table))
    number = 0
    for picture in report.figures:
        if isinstance(picture, Table):
            body.append(_table(picture))
            continue
        number += 1
        body.append(_figure(picture, number))
    if report.facts:
        facts = ''.join(
            f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>'
            for name, value in report.facts.items()
        )
        body.append(f'<h2>How it was made</h2><dl>{facts}</dl>')
    body += [
        f'<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>'
        for title, text in report.texts.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + '.part')
    kind = ' class="wide"' if report.wide else ''
    parts = dict(title=escape(report.title), style=_STYLE, kind=kind, body='\n'.join(body))
    first, *others = _PAGE.split('@')
    # The template alternates between text and names: what is filled in is never searched again.
    filled = [text if n % 2 else parts[text] for n, text in enumerate(others)]
    # Names of files need not be UTF-8, a page must.
    part.write_text(printable(''.join([first, *filled])), encoding='utf-8')
    os.replace(part, path)
    return path


def without_paths(text: str) -> str:
    """The text with every absolute path cut to its last part."""
    return _PATH.sub('', text)


def versions() -> str:
    """Python and the packages that matter, e.g. ``'Python 3.11.9, torch 2.10.0, ...'``."""
    found = [f'Python {platform.python_version()}']
    for name in _PACKAGES:
        try:
            found.append(f'{name} {version(name)}')
        except PackageNotFoundError:
            continue  # the other line of OpenMMLab packages, or not pip-installed
    return ', '.join(found)


def hardware() -> str:
    """Processor, threads and GPU; no host name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    parts = [f'{_processor()}, {cores} cores available, {torch.get_num_threads()} torch threads']
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return '; '.join(parts)


def _processor() -> str:
    table = Path('/proc/cpuinfo')
    if table.exists():
        match = re.search(r'^model name\s*:\s*(.+)$', table.read_text(), re.MULTILINE)
        if match:
            return match.group(1).strip()
    return platform.machine()


def _table(table: Table) -> str:
    head = ''.join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    rows = ''.join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + ''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])
        + '</tr>'
        for row in table.rows
    )
    caption = f'<caption>{escape(table.caption)}</caption>' if table.caption else ''
    title = f'<h2>{escape(table.title)}</h2>' if table.title else ''
    return (
        f'{title}<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table></div>'
    )


def _figure(figure: Figure, number: int) -> str:
    data = base64.b64encode(Path(figure.path).read_bytes()).decode('ascii')
    return (
        f'<h2>{escape(figure.title)}</h2><figure>'
        f'<img alt="{escape(figure.title)}" src="data:image/png;base64,{data}">'
        f'<figcaption><b>Figure {number}.</b> {escape(figure.caption)}</figcaption></figure>'
    )


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>@title@</title>
<style>@style@</style>
</head>
<body>
<main@kind@>
@body@
</main>
</body>
</html>
"""

_STYLE = """
:root { --ground: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d8dee4; --code: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171b; --ink: #e4e8ec; --soft: #9aa4af; --line: #333a42; --code: #1c2127; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 58rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
main.wide { max-width: 82rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .6rem; }
p.lead { max-width: 44rem; margin: 0 0 .8rem; }
.scroll { overflow-x: auto; margin: 1.75rem 0 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; min-width: 30rem; }
caption { caption-side: bottom; text-align: left; color: var(--soft); font-size: .9rem;
  padding-top: .6rem; max-width: 44rem; }
th, td { padding: .45rem 1.1rem .45rem 0; border-bottom: 1px solid var(--line); text-align: right; }
td { white-space: nowrap; }
th:first-child { text-align: left; font-weight: 500; min-width: 11rem; }
thead th { font-size: .85rem; color: var(--soft); font-weight: 600; }
figure { margin: 0; }
img { display: block; max-width: 100%; height: auto; background: #ffffff; padding: .6rem;
  border: 1px solid var(--line); border-radius: 8px; }
figcaption { margin-top: .6rem; color: var(--soft); font-size: .94rem; max-width: 44rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.25rem;
  font-size: .94rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
details { margin-top: 1.5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
summary { cursor: pointer; font-weight: 600; }
pre { background: var(--code); border-radius: 8px; padding: 1rem; overflow-x: auto;
  font: .82rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .5rem; } }
"""
