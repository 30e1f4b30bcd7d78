"""Studies: rows, controls and published values as data, trained, measured and compared.

A study is a file of ``studies/``. Read in this order: :mod:`study` (what it declares),
:mod:`scales` (on what), :mod:`run` and :mod:`recipe` (a row with a seed), :mod:`launch` (jobs),
:mod:`measuring` and :mod:`afterwards` (what is measured), :mod:`results`, :mod:`tables`,
:mod:`picture` (what comes out). ``mmdssl study`` is the command.
"""

from mmdssl.studies.scales import EARLY, RATIOS, SCALES
from mmdssl.studies.study import (
    Figure,
    Published,
    Row,
    Scale,
    Setting,
    Study,
    controls,
    load_study,
    with_config,
)

__all__ = [
    'EARLY',
    'RATIOS',
    'SCALES',
    'Figure',
    'Published',
    'Row',
    'Scale',
    'Setting',
    'Study',
    'controls',
    'load_study',
    'with_config',
]
