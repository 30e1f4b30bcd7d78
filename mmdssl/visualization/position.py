"""Position bias layer by layer: MCS of several networks, as in Fig. 4b of D3SSL."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from mmdssl.visualization.figure import COLOURS, MUTED, save_figure, sheet

__all__ = ['draw_position']

_ORDER = ('blue', 'vermillion', 'green', 'purple', 'orange', 'sky')
_MARKERS = 'osD^vP'


def draw_position(
    values: Mapping[str, Mapping[str, np.ndarray]], path: str | Path, *, title: str = ''
) -> Path:
    """MCS against the layer, a line per network, a band of two standard errors over pictures.

    Args:
        values: By network and layer, the cosines (n, cells - 1) that ``PositionalSimilarity``
            keeps; layers from shallow to deep. Networks may have different layers.
        path: PNG to write.
        title: Printed above.

    Returns:
        The path written.

    Raises:
        ValueError: If there is nothing to draw.
    """
    layers = list(dict.fromkeys(layer for one in values.values() for layer in one))
    if not layers:
        raise ValueError('draw_position got no values: measure at least one network and layer')
    figure, axes = sheet(1, 1, width=2.6 + 0.75 * max(4, len(layers)), height=3.8)
    place = axes[0, 0]
    place.axhline(1, color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    place.annotate(
        'knows no places', (1, 1), xycoords=('axes fraction', 'data'), xytext=(-2, 3),
        textcoords='offset points', ha='right', va='bottom', fontsize=7.5, color=MUTED,
    )  # fmt: skip
    for number, (name, by_layer) in enumerate(values.items()):
        colour = COLOURS[_ORDER[number % len(_ORDER)]]
        x = np.array([layers.index(layer) for layer in by_layer])
        pictures = [cosines.mean(axis=1) for cosines in by_layer.values()]
        mean = np.array([one.mean() for one in pictures])
        error = np.array(
            [one.std(ddof=1) / len(one) ** 0.5 if len(one) > 1 else 0 for one in pictures]
        )
        place.fill_between(x, mean - 2 * error, mean + 2 * error, color=colour, alpha=0.15, lw=0)
        place.plot(x, mean, color=colour, marker=_MARKERS[number % len(_MARKERS)], ms=5, label=name)
    place.set_xticks(range(len(layers)), layers, rotation=45 if len(layers) > 8 else 0)
    place.yaxis.set_major_locator(MaxNLocator(6))
    place.set(xlabel='layer', ylabel='MCS: centre cell with the others')
    place.margins(x=0.06)
    if title:
        place.set_title(title, loc='left', fontsize=10, fontweight='bold')
    place.legend(loc='lower left', fontsize=8, frameon=False)
    return save_figure(figure, path)
