"""Pre-training on a folder of photos: nothing but images, in any number and any nesting."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from mmdssl.datasets.base import ImageDataset, evenly_spaced
from mmdssl.datasets.decode import IMAGE_EXTENSIONS
from mmdssl.datasets.image_list import ByteStrings, list_images
from mmdssl.registry import DATASETS

__all__ = ['ImageFolder']


@DATASETS.register_module()
class ImageFolder(ImageDataset):
    """All images below a folder, without labels.

    A sample's results dict holds ``img_path`` (str) and ``sample_idx`` (int); the pipeline does
    the rest, beginning with `LoadImage`.

    Args:
        data_root: The folder; its sub-folders are searched too, hidden ones are not.
        pipeline: Transforms, as configs or callables.
        folders: Search these sub-folders of ``data_root`` only, in this order; None: all of it.
        extensions: File name endings that count as images, any case.
        cache: Keep the list of files for the next run: True in the user's cache folder, a path
            in that file, False not at all. A list is used again only if no folder changed since.
        max_images: Use only so many images, evenly spaced over the list. None: all.
        on_bad: ``'replace'`` an unreadable image by another one, or ``'raise'``.
        max_bad_share: Share of unreadable images, 0..1, above which the run ends with an error.
        bad_list: File that lists unreadable images; None: one in the folder for temporary files.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        NotADirectoryError: ``data_root`` is a file.
    """

    def __init__(
        self,
        *,
        data_root: str | Path,
        pipeline: Sequence[dict | Callable] = (),
        folders: Sequence[str] | None = None,
        extensions: Sequence[str] = IMAGE_EXTENSIONS,
        cache: bool | str | Path = True,
        max_images: int | None = None,
        on_bad: Literal['replace', 'raise'] = 'replace',
        max_bad_share: float = 0.05,
        bad_list: str | Path | None = None,
    ) -> None:
        self.data_root = os.fspath(data_root)
        if isinstance(folders, str) or (folders is not None and not folders):
            raise ValueError(f'folders is {folders!r}, give a list of sub-folders or None')
        if folders is None:
            paths = list_images(self.data_root, extensions, cache)
        else:
            if cache not in (True, False):
                raise ValueError(f'cache={cache!r} is one file, folders are several: give True')
            paths = ByteStrings.pack(
                os.path.join(os.fsencode(folder), path)
                for folder in folders
                for path in list_images(os.path.join(self.data_root, folder), extensions, cache)
            )
        if not len(paths):
            raise FileNotFoundError(
                f'no image in {self.data_root} or its sub-folders: check data_root, or name your '
                f"files' endings in extensions (now {' '.join(extensions)})"
            )
        chosen = evenly_spaced(len(paths), max_images)
        self._paths = paths if len(chosen) == len(paths) else paths.take(chosen)
        super().__init__(
            total=len(self._paths),
            pipeline=pipeline,
            on_bad=on_bad,
            max_bad_share=max_bad_share,
            bad_list=bad_list,
        )

    @property
    def metainfo(self) -> dict[str, Any]:
        """``data_root``."""
        return {'data_root': self.data_root}

    def get_data_info(self, index: int) -> dict[str, Any]:
        """``img_path`` and ``sample_idx`` of image ``index``."""
        index %= len(self)
        return {
            'img_path': os.path.join(self.data_root, os.fsdecode(self._paths[index])),
            'sample_idx': index,
        }
