"""The range of each channel that images are searched in: as it was, or as a training measures it.

Images that came later would move a measured range a little, and with it every picture. So what a
search was begun with goes on to be used, by the same command and by every part of it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdssl.datasets.channels import ChannelReader, FalseColours, Scale
from mmdssl.datasets.channels.files import Axis
from mmdssl.datasets.image_folder import ImageFolder
from mmdssl.datasets.image_shards import ImageShards
from mmdssl.datasets.image_sources import is_shards
from mmdssl.datasets.proposals.parts import kept_parameters, parts_folder
from mmdssl.datasets.proposals.store import ProposalStore

__all__ = ['pictures_of']


def pictures_of(
    images: str | Path,
    out: str | Path,
    *,
    channels: int,
    scale: Scale | None = None,
    axis: Axis = None,
    nodata: float | None = None,
    colours: tuple[int, ...] | None = None,
) -> FalseColours:
    """How the images of a folder become the pictures that are searched.

    Args:
        images: The folder, or one of shards.
        out: The proposals file, or the folder of one file a part, there already or not.
        channels: See `ChannelReader`, as for ``axis`` and ``nodata``.
        scale: None: that of ``out`` or of its parts, else that of `ImageFolder`.
        colours: See `FalseColours`.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        ValueError: A setting makes no sense, or no image can be read.
    """
    given: dict[str, Any] = dict(channels=channels, axis=axis, nodata=nodata)
    if scale is None:
        before = _kept(Path(out))
        if before.get('channels') == channels:
            scale = before['channel_range']
    if scale is None:
        data_set = ImageShards if is_shards(images) else ImageFolder
        own: dict[str, Any] = dict(channels=channels, channels_axis=axis, nodata=nodata)
        scale = data_set(data_root=images, **own).statistics.scale
    return FalseColours(reader=ChannelReader(scale=scale, **given), colours=colours)


def _kept(out: Path) -> Mapping[str, Any]:
    """Parameters of a search that was begun, nothing without one."""
    files = [out] if out.is_file() else sorted(out.glob('*-of-*.npz'))
    if files:
        return ProposalStore.open(files[0]).parameters
    for folder in (parts_folder(out), *sorted(out.glob('*.parts'))):
        for part in sorted(folder.glob('*.part')):
            found = kept_parameters(part)
            if found:
                return found
    return {}
