"""``imports=['mmdssl']`` is all a config of mmdet or mmseg needs, whatever it names."""

import subprocess
import sys

import pytest

ASK = """
import mmengine.registry
import mmdssl
from mmengine.registry import DATASETS, MODELS
import {framework}.registry as registry
assert {module!r} not in sys.modules, 'imported before it was asked for'
found = registry.{registry}.get('mmdssl.{name}')
assert found is not None and found.__name__ == {name!r}
"""


@pytest.mark.parametrize(
    ('framework', 'registry', 'name', 'module'),
    [
        ('mmseg', 'MODELS', 'DenseProbe', 'mmdssl.transfer.dense_probe'),
        ('mmdet', 'DATASETS', 'VOCDetection', 'mmdssl.transfer.voc'),
    ],
)
def test_a_framework_finds_what_needs_it_by_name(framework, registry, name, module):
    pytest.importorskip('mmcv._ext', reason='mmdet and mmseg need compiled ops')
    code = 'import sys\n' + ASK.format(
        framework=framework, registry=registry, name=name, module=module
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]


def test_the_light_parts_stay_light():
    """Asking for another model imports neither framework."""
    code = (
        'import sys\nfrom mmdssl.registry import MODELS\n'
        "assert MODELS.get('DecouplingBranch') is not None\n"
        "assert not {'mmdssl.transfer.voc', 'mmdssl.transfer.dense_probe'} & set(sys.modules)\n"
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
