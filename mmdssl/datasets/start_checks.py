"""Two lists that must fit, compared before the first step: photos and boxes or proposals.

A photo of another size than its boxes, or one without proposals, would end a run when its turn
comes, hours later and again after each resume. All of them are counted here. Names are compared for
every photo, sizes and contents (the ends of the files) of so many, evenly spaced.
"""

from collections.abc import Iterator
from typing import Any

from mmdssl.core.wording import listed, printable
from mmdssl.datasets.base import evenly_spaced
from mmdssl.datasets.decode import ImageDecodeError, decode_image
from mmdssl.datasets.image_header import Source, picture_shape
from mmdssl.datasets.transforms.loading import LoadImage
from mmdssl.datasets.transforms.proposals import LoadProposals

__all__ = ['LOOKED_AT', 'check_images', 'parts_of']

#: Photos whose headers are read, of each part of the data.
LOOKED_AT = 2000
_SHOWN = 3


def check_images(dataset: Any, *, looked_at: int = LOOKED_AT) -> None:
    """Compare the photos of a data set with what its annotations and proposals say of them.

    Data sets without either, and those of other packages, are left alone.

    Args:
        dataset: A data set, or one that wraps others.
        looked_at: Most photos a part whose headers are read.

    Raises:
        ValueError: Photos do not fit; the sentence counts them and names the first.
    """
    done: list[tuple[Any, Any, Any]] = []
    for part, pipeline in parts_of(dataset):
        steps = getattr(pipeline, 'transforms', ())
        load = next((step for step in steps if isinstance(step, LoadImage)), None)
        proposals = next((step for step in steps if isinstance(step, LoadProposals)), None)
        if load is None or not len(part) or any(part is p and proposals is q for p, q, _ in done):
            continue
        done.append((part, proposals, load))
        if proposals is not None:
            _check_proposals(part, proposals, load, looked_at)
        elif 'ann_shape' in part.get_data_info(0):
            _check_shapes(part, load, looked_at)


def parts_of(dataset: Any) -> Iterator[tuple[Any, Any]]:
    """The data sets with images inside one, each with the pipeline that its samples run through."""
    pipelines = getattr(dataset, 'pipelines', None)  # TaggedConcat
    if pipelines is not None:
        yield from zip(dataset.datasets, pipelines, strict=True)
    elif hasattr(dataset, 'datasets'):
        for part in dataset.datasets:
            yield from parts_of(part)
    elif hasattr(dataset, 'dataset'):
        yield from parts_of(dataset.dataset)
    elif hasattr(dataset, 'get_data_info') and hasattr(dataset, 'pipeline'):
        yield dataset, dataset.pipeline


def _check_shapes(part: Any, load: LoadImage, looked_at: int) -> None:
    """Sizes of the annotation file are those of the photos as they are loaded."""
    chosen = evenly_spaced(len(part), looked_at)
    wrong, turned = [], 0
    for info in (part.get_data_info(int(index)) for index in chosen):
        shape, stated = picture_shape(info['img_path'], exif=load.exif), info['ann_shape']
        if shape is not None and shape != tuple(stated):
            sizes = f'is {shape[0]} x {shape[1]}, stated {stated[0]} x {stated[1]}'
            wrong.append(f'{printable(info["img_path"])} {sizes}')
            turned += shape == tuple(stated)[::-1]
    if not wrong:
        return
    remedy = 'correct the annotation file, or name the folder that belongs to it'
    if turned == len(wrong):
        remedy = load.advice()
    raise ValueError(
        f'{len(wrong)} of {len(chosen)} photos compared have another height x width than '
        f'{printable(str(part.metainfo.get("ann_file", "the annotations")))} states: '
        f'{listed(wrong, _SHOWN)}; {remedy}'
    )


def _check_proposals(part: Any, proposals: LoadProposals, load: LoadImage, looked_at: int) -> None:
    """Every readable photo has proposals, and they are those of this picture."""
    paths = [part.get_data_info(index)['img_path'] for index in range(len(part))]
    rows = _rows(proposals, paths)
    rows = _rows(proposals, paths) if None in rows and proposals.image_root else rows
    store = proposals.store
    missing = [index for index, row in enumerate(rows) if row is None]
    # Unreadable photos were passed over by the search as they are by the training.
    count = len(missing)
    if count <= looked_at:
        missing = [index for index in missing if _readable(_source(part, index))]
    if missing:
        names = listed((printable(paths[index]) for index in missing), _SHOWN)
        raise ValueError(
            f'{len(missing)} of {len(paths)} photos have no proposals in {store.path}: {names}; '
            f'add them by `mmdssl proposals FOLDER {store.path}`, or set image_root'
        )
    other, exchanged = [], []
    chosen = evenly_spaced(len(paths), looked_at)
    for index in map(int, chosen):
        path, row, source = paths[index], rows[index], _source(part, index)
        shape = picture_shape(source, exif=load.exif)
        if row is None or shape is None:
            continue
        if shape != store.shape(row):
            other.append(printable(path))
        elif not store.made_of(row, source):
            exchanged.append(printable(path))
    for found, what in ((other, 'another height x width'), (exchanged, 'other contents')):
        if found:
            raise ValueError(
                f'{len(found)} of {len(chosen)} photos compared have {what} than those whose '
                f'proposals {store.path} holds: {listed(found, _SHOWN)}; the file belongs to other '
                'pictures of the same names: name theirs, or run mmdssl proposals, which '
                'searches changed ones anew'
            )


def _rows(proposals: LoadProposals, paths: list[str]) -> list[int | None]:
    rows: list[int | None] = []
    for path in paths:
        try:
            rows.append(proposals.row(path))
        except ValueError:
            rows.append(None)
    return rows


def _source(part: Any, index: int) -> Source:
    info = part.get_data_info(index)
    return info.get('img_source', info['img_path'])


def _readable(source: Source) -> bool:
    try:
        decode_image(source)
    except ImageDecodeError:
        return False
    return True
