"""Fixtures that every test may use: where the shared reference data lie, and quiet threads."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mmengine.logging import MMLogger
from mmengine.utils import ManagerMixin

from tests.reference import ROOT, find_reference
from tests.shapes import check_shapes

__all__ = ['ROOT']

check_shapes()


@pytest.fixture(autouse=True, scope='session')
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Image lists are cached in a folder of this test run, not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(autouse=True, scope='session')
def quiet_initialisation() -> None:
    """mmengine prints a line per parameter that init_weights touches."""
    MMLogger.get_current_instance().setLevel('WARNING')


@pytest.fixture(autouse=True, scope='session')
def configs_are_laid_out_once() -> Iterator[None]:
    """A run prints its config six times, and laying it out takes longer than many a test."""
    from yapf.yapflib import yapf_api

    lay_out, known = yapf_api.FormatCode, {}

    def once(text: str, **style: object) -> tuple[str, bool]:
        key = text, repr(style)
        if key not in known:
            known[key] = lay_out(text, **style)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yapf_api, 'FormatCode', once)
        yield


@pytest.fixture(autouse=True, scope='session')
def keyboard() -> None:
    """A suite that a shell started in the background ignores Ctrl-C, which some tests send."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _managed(base: type = ManagerMixin) -> Iterator[type]:
    for kind in base.__subclasses__():
        yield kind
        yield from _managed(kind)


def _as_it_was() -> Iterator[None]:
    known = {kind: kind._instance_dict.copy() for kind in _managed()}
    yield
    for kind in _managed():
        kind._instance_dict.clear()
        kind._instance_dict.update(known.get(kind, {}))


@pytest.fixture(autouse=True)
def global_instances() -> Iterator[None]:
    """What mmengine keeps for the whole process is for the test alone in which it was made.

    The scope that a runner or a config of mmdet sets, and loggers, message hubs and visualizers,
    which are found again by the name of the run: a second run within the same second of the clock
    would get those of the test before, and log into its closed stream.
    """
    yield from _as_it_was()


@pytest.fixture(autouse=True, scope='module')
def global_instances_of_a_file() -> Iterator[None]:
    """The same for what the fixtures of a file have made: any file may come next to a worker."""
    yield from _as_it_was()


@pytest.fixture(scope='session')
def shared() -> Callable[[str], Path]:
    """Path of a file of the reference data, see ``find_reference``.

    Golden numbers travel with the project: a missing one is an error. Photographs and real weights
    do not: a test that needs them is skipped where they are not at hand.
    """

    def find(relative: str) -> Path:
        path = find_reference(relative)
        if path is None and relative.startswith('golden/'):
            raise FileNotFoundError(f'{relative} is part of the project, but not in tests/golden')
        if path is None:
            pytest.skip(
                f'{relative} does not travel with the project: set MMDSSL_SHARED to its folder'
            )
        return path

    return find
