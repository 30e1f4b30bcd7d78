"""What the environment holds, and what it lacks for what: version shims and stack checks.

The only place that looks at versions. It reads what pip knows and the packages' version files and
imports only the standard library: it answers at once, and in a broken environment too.

The trouble it exists for: the same import packages (``mmcv``, ``mmengine``, ...) come from two
lines of distributions (upstream ``mmcv``, maintained ``onedl-mmcv``) that overwrite each other's
files without pip noticing; ``mmcv`` comes with and without compiled ops; ``cv2`` has four
writers; a torchvision belongs to exactly one torch.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

__all__ = [
    'PURPOSES',
    'Package',
    'Problem',
    'diagnose',
    'hide_new_transformers',
    'inspect_stack',
    'require_safe_loading',
    'require_stack',
]

_PRETRAIN = (
    'torch',
    'torchvision',
    'numpy',
    'cv2',
    'mmengine',
    'mmcv',
    'mmpretrain',
    'pycocotools',
)
# What each purpose imports. Transfer starts from backbones pre-trained here: it needs all of it.
PURPOSES: Mapping[str, tuple[str, ...]] = {
    'pretrain': _PRETRAIN,
    'det': (*_PRETRAIN, 'mmcv._ext', 'mmdet'),
    'seg': (*_PRETRAIN, 'mmcv._ext', 'mmseg'),
}
_EVERY = frozenset(PURPOSES)
# Import package -> distributions that write it, the one to recommend first.
_OPENMMLAB: Mapping[str, tuple[str, ...]] = {
    'mmengine': ('onedl-mmengine', 'mmengine', 'mmengine-lite'),
    'mmcv': ('onedl-mmcv', 'mmcv', 'mmcv-lite', 'mmcv-full'),
    'mmpretrain': ('onedl-mmpretrain', 'mmpretrain'),
    'mmdet': ('onedl-mmdetection', 'mmdet'),
    'mmseg': ('onedl-mmsegmentation', 'mmsegmentation'),
}
_OPENCV = ('opencv-python', 'opencv-contrib-python')
_WRITERS: Mapping[str, tuple[str, ...]] = {
    'torch': ('torch',),
    'torchvision': ('torchvision',),
    'numpy': ('numpy',),
    'cv2': (*_OPENCV, *(f'{name}-headless' for name in _OPENCV)),
    'pycocotools': ('pycocotools',),
    **_OPENMMLAB,
}
_EXTRAS = {'mmdet': 'det', 'mmseg': 'seg'}
_SAFE_LOADING = (2, 6)  # the first torch in which weights_only=True keeps what it promises
_REINSTALL = 'pip install --force-reinstall --no-deps'
# What a checkout has to offer cannot be called from the folder of somebody who has a wheel.
_CHECKOUT = (Path(__file__).parents[1] / 'setup.cfg').is_file()
_WHERE = '' if _CHECKOUT else 'in a checkout of mmdssl: '
# FORCE: the Makefile's own note of what it installed is not believed any more.
_COMPILE = f'{_WHERE}make env-full FORCE=1' + (
    f' VENV={sys.prefix}' if sys.prefix != sys.base_prefix else ''
)


@dataclass(frozen=True)
class Package:
    """One import package of the stack, as found on disk.

    Attributes:
        module: Name to import; ``mmcv._ext`` stands for mmcv's compiled ops.
        present: Whether Python would find it.
        distributions: Name -> version of every installed distribution that writes it. Empty for a
            package that is on the path without pip's knowledge.
        file_version: The version that the files themselves state; None where they state none.
    """

    module: str
    present: bool
    distributions: Mapping[str, str]
    file_version: str | None = None

    @property
    def version(self) -> str | None:
        """The version of the files, or else of the first distribution."""
        return self.file_version or next(iter(self.distributions.values()), None)

    @property
    def owner(self) -> tuple[str, str]:
        """Name and version of the distribution to keep: the first one named in the table."""
        return next(iter(self.distributions.items()), (self.module, ''))

    @property
    def mislabelled(self) -> bool:
        """Whether the files are of another version than the distribution that should own them."""
        found = _release(self.file_version)
        return bool(found and self.distributions) and found != _release(self.owner[1])[: len(found)]


@dataclass(frozen=True)
class Problem:
    """Something wrong or missing, and the one thing to do about it.

    Attributes:
        message: What is the case.
        remedy: One line: a command, or the next step.
        blocks: Purposes that do not work because of it; empty for a mere warning.
    """

    message: str
    remedy: str
    blocks: frozenset[str] = frozenset()


def _release(version: str | None) -> tuple[int, ...]:
    """Leading numbers of a version: '2.10.0+cu128' -> (2, 10, 0); () where there are none."""
    found = re.match(r'\d+(\.\d+)*', version or '')
    return tuple(int(part) for part in found.group().split('.')) if found else ()


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _folder(module: str) -> Path | None:
    """Folder of a top-level package, found without importing it."""
    spec = util.find_spec(module)
    # A folder without __init__.py is what a removed package left behind, not a package.
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _file_version(folder: Path | None) -> str | None:
    """The version that ``version.py`` of a package states, read as text."""
    if folder is None or not (folder / 'version.py').is_file():
        return None
    text = (folder / 'version.py').read_text(encoding='utf-8', errors='replace')
    # cv2 calls it `opencv_version`; torch annotates its own.
    found = re.search(r'^(?:__version__|opencv_version)\b[^=\n]*=\s*[\'"]([^\'"]+)', text, re.M)
    return found.group(1) if found else None


def inspect_stack(
    *,
    folder: Callable[[str], Path | None] = _folder,
    installed: Callable[[str], str | None] = _installed,
) -> dict[str, Package]:
    """Looks at every package of the stack without importing any.

    Args:
        folder: Gives the folder of an import package, None where Python would not find it.
        installed: Gives the version of an installed distribution, None where there is none.

    Returns:
        Module name -> what was found, in the order in which a person would read it.
    """
    stack = {}
    for module, writers in _WRITERS.items():
        place = folder(module)
        found = {name: version for name in writers if (version := installed(name)) is not None}
        stack[module] = Package(module, place is not None, found, _file_version(place))
        if module == 'mmcv':
            ops = place is not None and any(place.glob('_ext*.so'))
            stack['mmcv._ext'] = Package('mmcv._ext', ops, {})
    return stack


def _needing(*modules: str) -> frozenset[str]:
    """Purposes that import any of ``modules``."""
    return frozenset(name for name, needs in PURPOSES.items() if set(needs) & set(modules))


def _missing(stack: Mapping[str, Package]) -> Iterator[Problem]:
    absent: dict[str, list[str]] = {}
    for module, package in stack.items():
        if package.present:
            continue
        if package.distributions:
            name, version = package.owner
            message = f'{name} {version} is installed, but the files of {module} are gone.'
            yield Problem(message, f'{_REINSTALL} {name}=={version}', _needing(module))
        elif module != 'mmcv._ext':
            absent.setdefault(_EXTRAS.get(module, 'pretrain'), []).append(module)
        elif stack['mmcv'].present:  # where mmcv itself is missing, its ops go without saying
            message = 'mmcv has no compiled ops: enough to pre-train, not for mmdet and mmseg.'
            yield Problem(message, f'{_COMPILE} (compiles them, once)', _needing(module))
    for extra, modules in absent.items():
        wheel = f"pip install 'mmdssl[{extra}]'"
        remedy = f"pip install -e '.[{extra}]' -c constraints.txt" if _CHECKOUT else wheel
        yield Problem(f'not installed: {", ".join(modules)}.', remedy, _needing(*modules))


def _mixed(package: Package) -> Iterator[Problem]:
    """Files of one import package that come from more than one distribution or version."""
    name, version = package.owner
    module, versions = package.module, set(package.distributions.values())
    listed = ' and '.join(f'{other} {number}' for other, number in package.distributions.items())
    rest = ' '.join(other for other in package.distributions if other != name)
    # onedl-mmdetection pulls in a second opencv: harmless as long as both are of one version.
    if len(package.distributions) > 1 and not (module == 'cv2' and len(versions) == 1):
        # Removing one takes files of the other along: hence the second command.
        remedy = f'pip uninstall -y {rest} && {_REINSTALL} {name}=={version}'
        remedy += f' && {_COMPILE}' if module == 'mmcv' else ''
        blocks = frozenset() if module == 'cv2' else _needing(module)
        yield Problem(
            f'{module} is installed by two or more packages: {listed} (their files are mixed).',
            remedy,
            blocks,
        )
    elif package.mislabelled and module != 'torch':
        message = f'{module} has the files of {package.file_version}, but pip knows {listed}.'
        yield Problem(message, f'{_REINSTALL} {name}=={version}')


def _lines(stack: Mapping[str, Package]) -> Iterator[Problem]:
    """OpenMMLab packages of the two lines side by side, or of the one that is not maintained."""
    owners = [stack[module].owner[0] for module in _OPENMMLAB if stack[module].distributions]
    upstream = [name for name in owners if not name.startswith('onedl-')]
    if upstream and len(upstream) < len(owners):
        yield Problem(
            f'{", ".join(upstream)} of upstream OpenMMLab beside packages of the onedl line: this '
            'combination was not tested.',
            f'pip uninstall -y {" ".join(upstream)}, then install the onedl line again',
        )
    elif upstream and _release(stack['numpy'].version) >= (2,):
        yield Problem(
            'Upstream OpenMMLab was released before numpy 2 and breaks on it in places.',
            "pip install 'numpy<2', or change to the onedl line: see constraints.txt",
        )


def _torch_pair(torch: Package, vision: Package) -> Iterator[Problem]:
    have, seen = _release(torch.version), _release(vision.version)
    if not (torch.present and vision.present and have[:1] == (2,) and len(have) > 1):
        return
    builds = [(package.version or '').partition('+')[2] for package in (torch, vision)]
    message = f'torchvision {vision.version} was not made for torch {torch.version}.'
    # torchvision 0.(x + 15) is compiled against torch 2.x.
    if seen[:2] != (0, have[1] + 15):
        yield Problem(message, f"pip install 'torchvision==0.{have[1] + 15}.*'", _EVERY)
    elif all(builds) and builds[0] != builds[1]:
        remedy = f'{_REINSTALL} torchvision=={vision.owner[1]} from where torch came from'
        yield Problem(message, remedy, _EVERY)


def _loading(torch: Package) -> Iterator[Problem]:
    """A torch whose ``weights_only`` runs code of a prepared file all the same."""
    if torch.present and () < _release(torch.version) < _SAFE_LOADING:
        yield Problem(
            f'torch {torch.version} runs code that a prepared checkpoint holds, in spite of '
            'weights_only=True (CVE-2025-32434).',
            "pip install 'torch>=2.6', with the torchvision made for it",
            _EVERY,
        )


def diagnose(
    stack: Mapping[str, Package],
    *,
    failures: Mapping[str, str] | None = None,
    python: tuple[int, ...] = sys.version_info[:3],
) -> list[Problem]:
    """Says what is wrong with a stack, what is missing for what, and what to do.

    Args:
        stack: As `inspect_stack` returns it.
        failures: Module -> error, for modules that were imported to see and failed.
        python: Version of the interpreter.

    Returns:
        Problems that block a purpose first, mere warnings after them.
    """
    torch = stack['torch']
    problems = [*_loading(torch), *_torch_pair(torch, stack['torchvision']), *_lines(stack)]
    if not (3, 10) <= python[:2] <= (3, 12):
        message = f'Python {python[0]}.{python[1]} is outside the tested range 3.10 to 3.12.'
        problems.append(
            Problem(message, f'{_WHERE}make env PYTHON=python3.11 VENV=.venv311', _EVERY)
        )
    for package in stack.values():
        if package.present:
            problems += _mixed(package)
    problems += _missing(stack)
    causes: dict[str, list[str]] = {}
    for module, error in (failures or {}).items():
        causes.setdefault(error, []).append(module)
    for error, modules in causes.items():
        # The same error in several packages starts in the one that the others import.
        name, version = stack[modules[0].partition('.')[0]].owner
        remedy = f'{_REINSTALL} {name}=={version}'
        if modules[0] == 'mmcv._ext':  # compiled for another torch, as a rule
            remedy = f'{_COMPILE} (installs ops compiled for the tested torch)'
        message = f'cannot import {", ".join(modules)}: {error}'
        problems.append(Problem(message, remedy, _needing(*modules)))
    return sorted(problems, key=lambda problem: not problem.blocks)


def require_stack(purpose: str) -> None:
    """Refuses to go on where a purpose cannot work, before a long traceback says so.

    Args:
        purpose: 'pretrain', 'det' or 'seg'.

    Raises:
        ImportError: With the first problem that blocks the purpose, and its remedy.
        ValueError: If ``purpose`` is none of these.
    """
    blocking = [problem for problem in _problems(purpose) if purpose in problem.blocks]
    if blocking:
        first = blocking[0]
        raise ImportError(f'{first.message} Remedy: {first.remedy}')


def require_safe_loading(version: str | None = None) -> None:
    """Refuses a torch that cannot read checkpoints without running what is hidden in them.

    Args:
        version: Of torch; None for the one installed here.

    Raises:
        ImportError: With the reason and the remedy.
    """
    if version is None:
        version = _file_version(_folder('torch')) or _installed('torch')
    for problem in _loading(Package('torch', True, {}, version)):
        raise ImportError(f'{problem.message} Remedy: {problem.remedy}')


def _problems(purpose: str) -> list[Problem]:
    """All problems of the environment; a ``ValueError`` for a purpose that does not exist."""
    if purpose not in PURPOSES:
        raise ValueError(f"purpose '{purpose}' is unknown: use one of {', '.join(PURPOSES)}")
    return diagnose(inspect_stack())


def hide_new_transformers() -> bool:
    """Keep mmpretrain from its multimodal models where they cannot be imported.

    They are written for transformers 4, and mmpretrain imports them together with everything else
    where any transformers is installed: beside transformers 5 ``import mmpretrain.models`` fails.
    Nothing here uses them. To be called before that import; mmpretrain itself is imported.

    Returns:
        Whether they are hidden.
    """
    if _release(_installed('transformers')) < (5,) or 'mmpretrain.models' in sys.modules:
        return False
    from mmpretrain.utils import dependency

    dependency.WITH_MULTIMODAL = False
    return True
