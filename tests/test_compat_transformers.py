import subprocess
import sys
import textwrap

import pytest

CODE = """
    import sys, types
    from importlib import metadata
    real = metadata.distribution
    class Newer:
        version = '5.17.0'
        metadata = {}
    metadata.distribution = lambda name: Newer() if name == 'transformers' else real(name)
    metadata.version = lambda name: metadata.distribution(name).version
    fake = types.ModuleType('transformers')  # has none of the names of version 4
    fake.__spec__ = None
    sys.modules['transformers'] = fake
    import FIRST
    import mmpretrain.models
    print(mmpretrain.models.VisionTransformer.__name__)
"""


@pytest.mark.parametrize('first', ['mmdssl.models', 'mmdssl.registry', 'mmdssl.engine.launch'])
def test_mmpretrain_is_usable_beside_a_transformers_it_does_not_know(first):
    code = textwrap.dedent(CODE).replace('FIRST', first)
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == 'VisionTransformer', run.stderr[-2000:]
