"""The page of published weights on the hub: what they are, and nothing that was not measured."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mmdssl.core.checkpointing import EVALUATED_KEY

__all__ = ['hub_card', 'read_measured']

# Entries of ``meta`` and what the page calls them.
_FACTS = {
    'method': 'method',
    'architecture': 'backbone',
    'epoch': 'epochs',
    'iter': 'iterations',
    'seed': 'seed',
    EVALUATED_KEY: 'network that is evaluated',
    'weights_origin': 'weights it began with',
    'pos_rule': 'rule of the position table',
    'config_sha256': 'SHA-256 of the config',
    'mmdssl_version': 'mmdssl',
    'mmengine_version': 'mmengine',
    'torch_version': 'torch',
    'converted_with': 'written by',
}
_PARITY = (
    'The implementation of the method is compared with the published code of its authors, losses, '
    'gradients or whole training steps, to the tolerances in the table of METHODS.md of mmdssl. '
    'That is a statement about the code: these weights are of a training of their own, and not '
    'those of the paper.'
)


def hub_card(
    repository: str,
    state: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    *,
    licence: str,
    measured: Mapping[str, float] | None = None,
) -> str:
    """The page as Markdown with the header that the hub reads.

    Args:
        repository: ``ORG/NAME``.
        state: Tensors of the file.
        meta: What the checkpoint says about itself.
        licence: The hub's word for the licence of the weights.
        measured: Numbers by name; None or none: the page says so.

    Raises:
        ValueError: If the licence is empty or spans lines, or a number is none.
    """
    licence = licence.strip()
    if not licence or len(licence.split()) > 1:
        raise ValueError(f'licence {licence!r}: give one word of the hub, such as apache-2.0')
    lines = [
        '---',
        f'license: {licence}',
        'library_name: mmdssl',
        'pipeline_tag: image-feature-extraction',
        'tags:',
        '- self-supervised-learning',
        '- dense-pre-training',
        '---',
        '',
        f'# {repository.partition("/")[2]}',
        '',
        'A backbone pre-trained without labels by mmdssl, for dense tasks.',
        '',
        '```python',
        'import mmdssl',
        '',
        f"backbone = mmdssl.load_backbone('hf://{repository}')",
        "maps, vectors = mmdssl.features(backbone, ['photo.jpg'])",
        '```',
        '',
        f'`mmdssl convert export hf://{repository} --to mmdet` writes it for mmdet, mmseg, timm, '
        'torchvision and others.',
        '',
        '## Origin',
        '',
        '| | |',
        '|---|---|',
    ]
    lines += [f'| {name} | {meta[key]} |' for key, name in _FACTS.items() if key in meta]
    numbers = sum(value.numel() for value in state.values())
    lines += [f'| tensors | {len(state)}, with {numbers:,} numbers |', '']
    lines += ['## Measured', '', *_rows(measured), '', '## Parity', '', _PARITY, '']
    lines += ['## Licence', '', f'The weights: {licence}.']
    if 'licence' in meta:
        lines += ['', f'Of the weights it began with: {meta["licence"]}.']
    return '\n'.join(lines) + '\n'


def _rows(measured: Mapping[str, float] | None) -> list[str]:
    if not measured:
        return ['Nothing has been measured with these weights.']
    wrong = [name for name, value in measured.items() if not math.isfinite(value)]
    if wrong:
        raise ValueError(f'the measured {wrong[0]} is {measured[wrong[0]]}: leave it out')
    return [
        'Measured with these weights by their publisher.',
        '',
        '| measure | value |',
        '|---|---|',
        *(f'| {name} | {value:.4g} |' for name, value in measured.items()),
    ]


def read_measured(path: str | Path) -> dict[str, float]:
    """Numbers of the file that ``mmdssl test --out`` writes.

    Args:
        path: A JSON object of numbers by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds anything else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(
            f'{path} is no JSON file ({error}): mmdssl test --out writes one'
        ) from error
    numbers = isinstance(content, dict) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool)
        for value in content.values()
    )
    if not numbers or not content:
        raise ValueError(f'{path} does not hold numbers by name, as mmdssl test --out writes them')
    return {str(name): float(value) for name, value in content.items()}
