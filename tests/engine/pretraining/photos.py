"""Folders of a few small pictures, and machines that are not here."""

from pathlib import Path

from mmdssl.datasets.proposals.making import MakingReport
from mmdssl.engine.pretraining.machine import Machine
from mmdssl.engine.pretraining.request import read_request
from mmdssl.engine.pretraining.resolver import Resolved, resolve
from tests.datasets.image_files import picture, save

CPU = Machine(cores=4)
GPU = Machine(gpu='NVIDIA H200', gpu_memory=140 * 10**9, bf16=True, cores=16)
GIGA = 10**9


def photos(folder: Path, number: int = 12) -> Path:
    """A folder of pictures of 64 x 48 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    data = save(picture(), 'JPEG')
    for index in range(number):
        (folder / f'{index:04d}.jpg').write_bytes(data)
    return folder


def make(folder, file, settings, workers):
    """Stands in for the search of proposals, which takes seconds."""
    return MakingReport(out=file, total=1)


def resolved(method, data, out, machine=CPU, *, measure=None, **options) -> Resolved:
    """A request on a machine; a step takes 1 GB and 0.1 GB an image unless told otherwise."""
    request = read_request(method, dict(data=data, out=out, **options))
    measure = measure or (lambda config, batch: GIGA + batch * GIGA // 10)
    return resolve(request, machine, measure=measure, make=make)


def said(found: Resolved, name: str) -> str:
    """Value and reason of a decision."""
    return found.config.decisions[name]
