"""Everything about the package stands in setup.cfg; this adds configs, studies and tools to it.

OpenMMLab's packages carry them in a folder ``.mim``, where mim and people without a checkout look
for them: ``mmdssl/.mim/configs/ibot/...py``, ``mmdssl/.mim/tools/train.py``. An editable
installation has the checkout itself.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CARRIED = ('configs', 'studies', 'tools', 'model-index.yml', 'constraints.txt')


class BuildWithMim(build_py):
    """Copies configs and tools beside the modules when a wheel is built."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        root = Path(__file__).resolve().parent
        target = Path(self.build_lib, 'mmdssl', '.mim')
        shutil.rmtree(target, ignore_errors=True)  # what an earlier build left
        target.mkdir(parents=True)
        for name in CARRIED:
            if (root / name).is_dir():
                unwanted = shutil.ignore_patterns('__pycache__', '*.pyc', 'results')
                shutil.copytree(root / name, target / name, ignore=unwanted)
            else:
                shutil.copy2(root / name, target / name)


setup(cmdclass={'build_py': BuildWithMim})
