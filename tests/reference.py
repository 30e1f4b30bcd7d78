"""Where the reference data of the tests lie: golden numbers, photographs, real weights.

Looked for, file by file: the folder that ``MMDSSL_SHARED`` names, then ``shared`` beside the
checkout, then ``tests``, whose ``golden`` travels with the project. Larger or other numbers of the
same form can thus be tried without a change to the project.
"""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def find_reference(relative: str) -> Path | None:
    """The first place that has a file or folder; None where there is none.

    Args:
        relative: such as ``golden/ibot_loss.npz``. Later golden folders (``golden3/...``) have
            what travels of them in ``golden``, too.
    """
    named = os.environ.get('MMDSSL_SHARED')
    places = [Path(named)] if named else [ROOT.parent / 'shared']
    found = next((path for place in places if (path := place / relative).exists()), None)
    own = ROOT / 'tests' / re.sub(r'^golden\d*/', 'golden/', relative)
    return found or (own if own.exists() else None)
