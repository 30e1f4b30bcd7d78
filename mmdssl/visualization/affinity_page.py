"""One offline HTML page: click a photo, see what every network finds similar to that point.

The point affinity of "Mind Your Augmentation" (ICLR 2024), App. H.1, for any point: the features
themselves lie in the page (:mod:`mmdssl.visualization.feature_codec`) and the browser computes the
cosines, so that no server and no network is needed. A toggle shows maps of local semantic
consistency (App. H.2), tables of numbers stand below. How far the cosines of the packed features
are from exact ones is measured and printed on the page.
"""

import base64
import io
import json
import os
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

from mmdssl.visualization.feature_codec import pack_features, packing_error
from mmdssl.visualization.figure import photo_image

__all__ = ['write_affinity_page']

_MAP = 'cividis'  # even in lightness, the same to colour-blind readers
_LSC_LEAD = (
    ' Consistency compares, place by place, the feature of a small crop seen alone with that of '
    'the same region within the whole photo: high where features need no context.'
)

Rows = Sequence[Mapping[str, Any]]


def write_affinity_page(
    images: Tensor | Sequence[Tensor | np.ndarray],
    maps: Mapping[str, Sequence[Tensor]],
    lsc: Mapping[str, Sequence[Tensor | np.ndarray]] | None,
    tables: Mapping[str, Rows],
    path: str | Path,
    *,
    names: Sequence[str] | None = None,
    facts: Mapping[str, str] | None = None,
    title: str = 'Point affinity',
    size: int = 56,
    lsc_border: float = 2 / 32,
    components: int = 256,
    max_bytes: int = 15_000_000,
) -> Path:
    """Write the page; a reader never meets half a file.

    Args:
        images: N photos (3, H, W) uint8 RGB, square, e.g. 448 px, or of n channels.
        maps: By network, N dense maps (C, h, w) of the photos.
        lsc: By network (the same ones), N maps (I, J) of cosines; None: no toggle.
        tables: By heading, rows of one table: dicts of the same keys, the first the row's name.
        path: HTML file to write.
        names: Of the photos, for captions.
        facts: How it was made (command, seed, data, versions), by name.
        title: Of the page.
        size: Side of the map that features are interpolated to, the paper's 56.
        lsc_border: Rim of an LSC map without values, as a share of the photo's side.
        components: Axes that a map is reduced to, at most; halved until the page is small enough.
        max_bytes: Largest page.

    Returns:
        The path written.

    Raises:
        ValueError: If there is no photo or network, the numbers of photos and maps differ, photos
            are not square, or no page of ``max_bytes`` can be made.
    """
    pictures = [photo_image(image) for image in images]
    names = list(names) if names is not None else [f'photo {n + 1}' for n in range(len(pictures))]
    _check(pictures, names, maps, lsc)
    shared = [
        dict(name=name, photo=_photo(picture), lsc=_lsc(lsc, n, lsc_border))
        for n, (name, picture) in enumerate(zip(names, pictures, strict=True))
    ]
    while True:
        packed, errors = _pack(maps, components, size)
        data = dict(
            size=size,
            ramp=_text((colormaps[_MAP](np.arange(256))[:, :3] * 255).round().astype(np.uint8)),
            networks=list(maps),
            images=[dict(one, maps=own) for one, own in zip(shared, packed, strict=True)],
        )
        stated = {**(facts or {}), 'Accuracy': _accuracy(errors, components)}
        page = _fill(title, data, tables, stated, with_lsc=lsc is not None)
        if len(page) <= max_bytes:
            break
        if components < 8:
            raise ValueError(
                f'the page takes {len(page) / 1e6:.1f} MB even with {components} components a map, '
                f'more than max_bytes={max_bytes}: show fewer photos or networks'
            )
        components //= 2
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + '.part')
    part.write_bytes(page)
    os.replace(part, path)
    return path


def _check(
    pictures: Sequence[np.ndarray],
    names: Sequence[str],
    maps: Mapping[str, Sequence[Any]],
    lsc: Mapping[str, Sequence[Any]] | None,
) -> None:
    if not pictures or not maps:
        raise ValueError(f'a page needs photos and networks, got {len(pictures)} and {len(maps)}')
    uneven = [one.shape[:2] for one in pictures if one.shape[0] != one.shape[1]]
    if uneven:
        raise ValueError(f'photos must be square, one is {uneven[0][0]} x {uneven[0][1]}')
    if lsc is not None and set(lsc) != set(maps):
        raise ValueError(f'LSC maps are of {sorted(lsc)}, features of {sorted(maps)}: give both')
    counts = {'names': len(names)} | {name: len(own) for name, own in maps.items()}
    counts |= {f'LSC of {name}': len(own) for name, own in (lsc or {}).items()}
    wrong = {name: count for name, count in counts.items() if count != len(pictures)}
    if wrong:
        raise ValueError(f'{len(pictures)} photos need one entry each, got {wrong}')


def _pack(
    maps: Mapping[str, Sequence[Tensor]], components: int, size: int
) -> tuple[list[list[dict[str, Any]]], dict[str, tuple[float, float]]]:
    """Features by photo and network for the page; largest and rms error by network."""
    entries: list[list[dict[str, Any]]] = [[] for _ in next(iter(maps.values()))]
    errors = {}
    for name, own in maps.items():
        found = []
        for features, photo in zip(own, entries, strict=True):
            packed = pack_features(features, components=components)
            found.append(packing_error(features, packed, size=size))
            photo.append(
                dict(
                    grid=packed.grid,
                    step=packed.step,
                    mean=packed.mean,
                    data=base64.b64encode(packed.to_bytes()).decode('ascii'),
                )
            )
        largest, rms = (np.array(column) for column in zip(*found, strict=True))
        errors[name] = float(largest.max()), float(np.sqrt((rms**2).mean()))
    return entries, errors


def _accuracy(errors: Mapping[str, tuple[float, float]], components: int) -> str:
    """The sentence about what packing costs."""
    each = '; '.join(
        f'{name}: at most {largest:.4f}, root mean square {rms:.4f}'
        for name, (largest, rms) in errors.items()
    )
    return (
        f'features are stored with at most {components + 1} components in 8 bits. Difference of '
        f'the cosines from exact ones, over 64 points of each photo: {each}'
    )


def _text(values: np.ndarray) -> str:
    """Bytes of an array in base64."""
    return base64.b64encode(values.tobytes()).decode('ascii')


def _photo(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, 'JPEG', quality=88)
    return 'data:image/jpeg;base64,' + base64.b64encode(buffer.getvalue()).decode('ascii')


def _lsc(
    lsc: Mapping[str, Sequence[Tensor | np.ndarray]] | None, index: int, border: float
) -> list[dict[str, Any]]:
    if lsc is None:
        return []
    found = [np.asarray(torch.as_tensor(own[index]).cpu(), '<f4') for own in lsc.values()]
    return [dict(grid=one.shape, data=_text(one), border=border) for one in found]


def _fill(
    title: str,
    data: Mapping[str, Any],
    tables: Mapping[str, Rows],
    facts: Mapping[str, str],
    *,
    with_lsc: bool,
) -> bytes:
    folder = files('mmdssl.visualization') / 'page'
    page, style, script = (
        (folder / f'affinity.{kind}').read_text('utf-8') for kind in ('html', 'css', 'js')
    )
    # Within a script element only a tag's beginning could end it.
    text = json.dumps(data, separators=(',', ':')).replace('<', '\\u003c')
    entries = ''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>' for k, v in facts.items())
    parts = {
        'title': escape(title),
        'style': style,
        'lsc_lead': _LSC_LEAD if with_lsc else '',
        'view_hidden': '' if with_lsc else 'hidden',
        'tables': '\n'.join(_table(heading, rows) for heading, rows in tables.items() if rows),
        'facts': f'<h2>How it was made</h2><dl>{entries}</dl>',
        'script': script,
        'data': text,
    }
    first, *others = page.split('@')
    # The template alternates between text and names: what is filled in is never searched again.
    filled = [part if n % 2 else parts[part] for n, part in enumerate(others)]
    return ''.join([first, *filled]).encode('utf-8')


def _table(heading: str, rows: Rows) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    head = ''.join(f'<th scope="col">{escape(str(column))}</th>' for column in columns)
    body = ''.join(
        f'<tr><th scope="row">{_cell(row.get(columns[0]))}</th>'
        + ''.join(f'<td>{_cell(row.get(column))}</td>' for column in columns[1:])
        + '</tr>'
        for row in rows
    )
    return (
        f'<h2>{escape(heading)}</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f'<tbody>{body}</tbody></table></div>'
    )


def _cell(value: Any) -> str:
    if value is None:
        return ''
    if isinstance(value, float):
        return f'{value:.3f}'.replace('-', '−')
    return escape(str(value))
