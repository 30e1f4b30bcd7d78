"""One network's card: its groups of measures, each kept when it is done, in one json file."""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmdssl.core.checkpointing import atomic_text
from mmdssl.core.text_files import read_json
from mmdssl.engine.card.data import CardData
from mmdssl.engine.card.measures import GROUPS
from mmdssl.engine.card.networks import CardNetwork
from mmdssl.engine.card.parts import CardSettings
from mmdssl.engine.plain_errors import says_what_happened
from mmdssl.evaluation.measure import removal_for
from mmdssl.models.backbones.vit_checks import check_fit
from mmdssl.visualization.card_values import card_rows
from mmdssl.visualization.report import hardware, versions, without_paths

__all__ = ['card_file', 'measure_card']

#: What a group may end with where a network or the data do not suit it.
_UNSUITED = (ValueError, RuntimeError, AssertionError, NotImplementedError)


def card_file(name: str, out: Path) -> Path:
    """The json file of a network."""
    return out / f'{re.sub(r"[^A-Za-z0-9_.+-]+", "_", name)}.json'


def measure_card(
    network: CardNetwork,
    data: CardData,
    settings: CardSettings,
    out: Path,
    *,
    groups: Sequence[str] = tuple(GROUPS),
    command: str = '',
) -> dict[str, Any]:
    """Measure what is not measured yet, and write the file after every group.

    A group is done if it was made with the same weights, photos and settings. One that does not
    suit the network or the data stands in ``missing`` with the reason, and is tried again.

    Args:
        network: To measure.
        data: Photos.
        settings: Of the measures.
        out: Folder of the file.
        groups: Which, see :data:`GROUPS`.
        command: That made it, for the file.

    Returns:
        What the file holds: ``network``, ``weights``, ``data``, ``versions``, ``hardware``,
        ``groups`` (numbers, selection, seconds) by name, ``missing`` (reasons) and ``rows``, the
        values of the page with n and intervals.

    Raises:
        ValueError: If photos of that size are no whole patches of the network.
    """
    patch = removal_for(network.extractor.backbone).get('patch_size')
    if patch is not None:
        check_fit((settings.size, settings.size), patch, f'{network.name}: photos of')
    path = card_file(network.name, out)
    asked = dict(
        fingerprint=network.fingerprint,
        data=data.facts,
        settings={k: v for k, v in asdict(settings).items() if k not in ('batch', 'workers')},
    )
    if network.load is not None:
        asked['load'] = network.load
    asked = json.loads(json.dumps(asked))  # as it comes back from the file
    before = read_json(path) if path.is_file() else {}
    same = before.get('asked') == asked
    content: dict[str, Any] = dict(
        network=network.name,
        folder=path.stem,
        backbone=without_paths(network.backbone),
        weights=without_paths(network.weights),
        asked=asked,
        groups=before.get('groups', {}) if same else {},
        missing=before.get('missing', {}) if same else {},
        data=data.facts,
        seed=settings.seed,
        command=without_paths(command),
        versions=versions(),
        hardware=hardware(),
    )
    folder = path.with_suffix('')
    folder.mkdir(parents=True, exist_ok=True)
    for name in groups:
        if name in content['groups']:
            print(f'{network.name}: {name}: done before', flush=True)
            continue
        begin = time.perf_counter()
        try:
            found = GROUPS[name](network, data, settings, folder)
        except _UNSUITED as error:
            reason = without_paths(says_what_happened(error).splitlines()[0])
            content['missing'][name] = reason
            print(f'{network.name}: {name} is not measured: {reason}', flush=True)
        else:
            for part, reason in found.missing.items():
                content['missing'][f'{name}/{part}'] = without_paths(reason)
                print(f'{network.name}: {part} is not measured: {reason}', flush=True)
            seconds = round(time.perf_counter() - begin, 1)
            content['missing'].pop(name, None)
            content['groups'][name] = dict(
                seconds=seconds, selection=found.selection, numbers=_plain(found.numbers)
            )
            print(f'{network.name}: {name}: {seconds:.0f} s', flush=True)
        content['rows'] = card_rows(content)
        atomic_text(json.dumps(content, indent=1) + '\n', path)
    content['rows'] = card_rows(content)
    return content


def _plain(numbers: dict[str, float]) -> dict[str, float | None]:
    """NaN as null, which json can hold."""
    return {name: None if one != one else float(one) for name, one in numbers.items()}
