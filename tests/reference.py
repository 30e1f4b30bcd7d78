"""Where the reference data of the tests lie: golden numbers, photographs, real weights.

Looked for, file by file: the folder that ``MMDSSL_SHARED`` names, then ``shared`` beside the
checkout, then ``tests``, whose ``golden`` travels with the project (with files of ``golden2`` and
``golden3`` in it). Larger or other numbers of the same form can thus be tried without a change to
the project.
"""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def find_reference(relative: str) -> Path | None:
    """The first place that has a file or folder; None where there is none.

    Args:
        relative: such as ``golden/ibot_loss.npz``.
    """
    named = os.environ.get('MMDSSL_SHARED')
    places = [Path(named)] if named else [ROOT.parent / 'shared']
    paths = [place / relative for place in places]
    paths.append(ROOT / 'tests' / re.sub(r'^golden\d/', 'golden/', relative))
    return next((path for path in paths if path.exists()), None)
