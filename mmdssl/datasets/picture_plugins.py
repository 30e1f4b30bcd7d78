"""Formats that Pillow reads by plug-ins: HEIC and AVIF, where what reads them is installed.

Pillow has AVIF itself since 11.3 where it was built with it, before by ``pillow-avif-plugin``; HEIC
needs ``pillow-heif``. Nothing is asked of these packages but that they register themselves.
"""

import importlib
import importlib.util

from PIL import Image

__all__ = ['PACKAGES', 'plugin_endings']

#: The package that reads files of such an ending, lower case.
PACKAGES = {
    '.heic': 'pillow-heif',
    '.heif': 'pillow-heif',
    '.avif': 'pillow-avif-plugin',
}


def plugin_endings() -> tuple[str, ...]:
    """Register the plug-ins that are installed, and name the endings that are read now."""
    if importlib.util.find_spec('pillow_heif') is not None:
        importlib.import_module('pillow_heif').register_heif_opener()
    known = Image.registered_extensions()  # loads Pillow's own
    if '.avif' not in known and importlib.util.find_spec('pillow_avif') is not None:
        importlib.import_module('pillow_avif')  # registers itself
        known = Image.registered_extensions()
    return tuple(ending for ending in PACKAGES if ending in known)
