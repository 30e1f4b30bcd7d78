"""Where images, boxes, teachers and proposals of a run come from."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path

from mmengine.config import Config

from mmdssl.core.hub import is_there, local_file
from mmdssl.datasets.channels import FalseColours
from mmdssl.datasets.proposals.making import MakingReport, make_proposals
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.datasets.proposals.store import ProposalStore
from mmdssl.datasets.shards.files import is_remote
from mmdssl.datasets.shards.index import is_shards
from mmdssl.engine.channels import channels_of, complete_channels, reader_settings
from mmdssl.engine.pretraining.decisions import Decisions
from mmdssl.engine.pretraining.machine import Machine
from mmdssl.engine.pretraining.photos import Photos, find_labelled, look_at, training_part
from mmdssl.engine.pretraining.request import Request
from mmdssl.engine.pretraining.start_weights import Start
from mmdssl.registry import MODELS

__all__ = ['set_channels', 'set_images', 'set_measured', 'set_proposals', 'set_start']

#: What makes the proposals of a folder: folder, file, settings, processes.
Make = Callable[[Path | str, Path, ProposalSettings, int], MakingReport]

# Measured during a run on boxes or label maps.
_NEED_LABELS = ('ObjectKNNHook', 'OverClusteringHook', 'InContextHook', 'CouplingHook')


def set_images(config: Config, request: Request, decisions: Decisions) -> Photos:
    """Point the training data to the folder of images or of shards, in place.

    Raises:
        FileNotFoundError: If there is no such folder, or no image in it.
        ValueError: If the data set of the config is no folder of images.
    """
    dataset = config.train_dataloader.dataset
    kind = str(dataset.get('type')).removeprefix('mmdssl.')
    if kind not in ('ImageFolder', 'ImageShards'):
        raise ValueError(
            f'{config.filename} trains on a {dataset.get("type")}: data= is for an ImageFolder'
        )
    folder = request.data or dataset.data_root
    if not is_remote(folder):
        folder = Path(folder)
        if not folder.is_dir():
            what = 'is a file' if folder.exists() else 'does not exist'
            raise FileNotFoundError(f'data={folder} {what}: give a folder of images')
    reason = 'searched with its sub-folders'
    part = training_part(folder) if request.data and isinstance(folder, Path) else None
    if part is not None:
        reason = f'{folder} has annotations, and keeps its training images there'
        folder = part
    if request.max_images is not None:
        dataset.max_images = request.max_images
        reason += f'; max_images={request.max_images}, evenly spaced'
    if request.data is not None:
        # The config serves from anywhere.
        dataset.data_root = str(folder.absolute() if isinstance(folder, Path) else folder)
        dataset.pop('folders', None)
    sharded = is_shards(folder)
    if sharded != (kind == 'ImageShards'):
        dataset.type = 'ImageShards' if sharded else 'ImageFolder'
        for own in ('cache', 'cache_gb', 'extensions'):
            dataset.pop(own, None)
    if sharded:
        reason = reason.replace('searched with its sub-folders', 'in shards')
    if request.channels is not None:
        dataset.channels = request.channels
    if request.scale is not None:
        dataset.scale = request.scale
    photos = look_at(folder, dataset.get('max_images'), dataset.get('channels'))
    if photos.deep:
        reason += (
            f'; {photos.deep:.0%} of those looked at have more than 8 bits and keep their highest '
            '8, which is dark where not all are used: channels=1 (or 3) takes the range they have'
        )
    decisions.add('data', f'{photos.count} images in {folder}', reason)
    return photos


def set_channels(config: Config, decisions: Decisions) -> None:
    """Measure images of n channels and make network and measures fit them, in place.

    Raises:
        ValueError: If the network cannot take them, or no image can be read.
    """
    channels = channels_of(config)
    if channels is None:
        return
    found = complete_channels(config)
    reason = 'as the config says' if found is None else str(found)
    if channels != 3:
        reason += '; colours: brightness, contrast, blur, and nothing that mixes R, G, B'
    decisions.add('channels', channels, reason)


def set_measured(config: Config, request: Request, decisions: Decisions) -> None:
    """Measure during the run what the labels at hand allow, in place.

    Raises:
        ValueError: If the labelled folder has no such layout.
    """
    folder = request.labelled or request.data
    found = find_labelled(folder) if isinstance(folder, Path) else None
    if request.labelled is not None and found is None:
        raise ValueError(
            f'labelled={request.labelled}: give a folder with annotations/instances_train*.json, '
            'annotations/instances_val*.json and the images in train*/ and val*/'
        )
    hooks = [dict(one) for one in config.get('custom_hooks') or ()]
    kept = [one for one in hooks if one.get('type') not in _NEED_LABELS]
    if not any(one.get('type') == 'RepresentationHealthHook' for one in kept):
        kept.append(dict(type='RepresentationHealthHook'))
    measured = config.get('object_knn_dataloader')
    if found is None or measured is None:
        reason = 'spread and rank of the features; O-KNN needs boxes (labelled=FOLDER)'
        decisions.add('measured', 'without labels', reason)
    else:
        data = measured.dataset
        data.data_root = str(found.folder)
        for tag, part in data.datasets.items():
            part.update(found.bank if tag.startswith('bank') else found.query)
        knn = next((one for one in hooks if one.get('type') == 'ObjectKNNHook'), None)
        kept.append(knn or dict(type='ObjectKNNHook', interval=1))
        decisions.add('measured', 'O-KNN', f'on the boxes of {found.folder}')
    config.custom_hooks = kept


def set_proposals(
    config: Config,
    photos: Photos,
    asked: Path | None,
    *,
    machine: Machine,
    decisions: Decisions,
    make: Make | None = None,
) -> None:
    """Make the proposals of a method that needs them, and point the pipeline to them, in place.

    They are kept for later runs on the same folder; only new images are searched.

    Raises:
        ValueError: If proposals are asked for where none are used, or the file is another's.
    """
    pipeline = config.train_dataloader.dataset.pipeline
    load = next((step for step in pipeline if step.get('type') == 'LoadProposals'), None)
    if load is None:
        if asked is not None:
            raise ValueError(f'proposals={asked}: {config.model.type} uses no proposals')
        return
    settings = ProposalSettings.of(load.get('expect') or {})
    if channels_of(config) is not None:
        settings = replace(settings, channels=_pictures(config, asked))
    file = asked or _kept_at(photos.folder, settings)
    if file.is_dir():  # one file a part: made by jobs, and checked when it is opened
        load['file'] = str(file)
        decisions.add('proposals', file, 'one file a part, made before')
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    report = (make or _make)(photos.folder, file, settings, machine.cores)
    load['file'] = str(file)
    if report.made:
        reason = f'{report.made} images searched now ({report.seconds:.0f} s), kept for later runs'
    else:
        reason = 'made before'
    decisions.add('proposals', file, reason)


def _pictures(config: Config, asked: Path | None) -> FalseColours | None:
    """How images of n channels are searched: as they were, else in the range of the training."""
    if asked is not None and asked.is_file():
        made_with = ProposalStore.open(asked).parameters
        if made_with.get('channels') == channels_of(config):
            return FalseColours.of(made_with)
    reading = reader_settings(config)
    return FalseColours.of({**reading, 'channel_range': reading['scale']})


def _make(folder: Path | str, file: Path, settings: ProposalSettings, workers: int) -> MakingReport:
    return make_proposals(folder, file, settings, workers=workers)


def _kept_at(folder: Path | str, settings: ProposalSettings) -> Path:
    """Where proposals of a folder are kept: the folder itself may be nobody's to write."""
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    place = folder.resolve() if isinstance(folder, Path) else folder
    own = '' if settings.channels is None else f' {settings.channels.parameters()}'
    key = hashlib.sha1(os.fsencode(place) + own.encode()).hexdigest()[:16]
    return Path(base) / 'mmdssl' / 'proposals' / f'{key}.npz'


def set_start(
    config: Config, request: Request, decisions: Decisions, start: Start | None = None
) -> None:
    """The weights that a method needs of somebody else, or is given, in place.

    Args:
        config: Of the method.
        request: What is asked for.
        decisions: Gets lines.
        start: What ``init`` of the request is, where it is a file.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If one is needed and not given, given and not needed, or of no use.
    """
    model = config.model
    teacher = model.get('teacher') if isinstance(model.get('teacher'), dict) else None
    if teacher is not None:
        own = teacher.get('checkpoint')
        file = _given('teacher', request, own, 'learns from a teacher', 'maskalign')
        if file == 'random':
            teacher['init'] = 'random'
        else:
            teacher['checkpoint'] = file
        decisions.add('teacher', file, _where_from(request.teacher))
    elif request.teacher is not None:
        raise ValueError(f'teacher={request.teacher}: {request.method} makes its own teacher')
    if request.init is not None and 'init' not in signature(MODELS.get(model.type)).parameters:
        raise ValueError(
            f'init={request.init}: {request.method} cannot start from a given backbone; '
            'load_from=FILE loads a whole checkpoint'
        )
    if start is not None:
        _begin_with(config, request, start, decisions)
    elif 'init' in model or request.init is not None:
        kind, where = 'starts from a given backbone', 'posttrain'
        if model.type.removeprefix('mmdssl.') == 'Leopart':
            kind, where = 'starts from a trained ViT', 'leopart'
        model.init = _given('init', request, model.get('init'), kind, where)
        decisions.add('init', model.init, _where_from(request.init))


def _begin_with(config: Config, request: Request, start: Start, decisions: Decisions) -> None:
    """A file as the start, if it is of use."""
    model = config.model
    if start.problem is not None and model.backbone.type.removeprefix('mmdssl.') == 'DenseViT':
        raise start.problem
    reason = 'as asked for'
    if 'init' not in model:
        reason += '; the rate is that of training from nothing, lr=... lowers it'
    model.init = str(start.file)
    decisions.add('init', request.init, f'{reason}; {start.note}' if start.note else reason)


def _given(name: str, request: Request, own: str | None, what: str, folder: str) -> str:
    given = getattr(request, name)
    file = given or own
    if file in ('random', 'given'):
        return str(file)
    if file is not None and is_there(file):
        return str(local_file(file).absolute())
    if given is not None:
        raise FileNotFoundError(f'{name}={given}: there is no such file')
    raise ValueError(
        f'{request.method} {what}: give {name}=FILE, as configs/{folder}/README.md says, or '
        f'{name}=random to try out the rest'
    )


def _where_from(given: str | None) -> str:
    if given == 'random':
        return 'as asked for; nothing of use is learnt from it'
    return 'that of the config' if given is None else 'as asked for'
