"""Coupling of several networks in one picture each, after the figures of the two papers.

"Mind Your Augmentation" (ICLR 2024): Fig. 2b and 6b (ratio against the missing share of A), 3b and
7 (histograms within objects), 8 and 9 (ratio against a setting of the training). D3SSL: Fig. 3b
(layer by layer).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mmdssl.visualization.figure import COLOURS, INK, MUTED, save_figure, sheet

__all__ = [
    'draw_coupling_against',
    'draw_coupling_by_layer',
    'draw_coupling_curves',
    'draw_coupling_histogram',
]

_NAMES = ('blue', 'vermillion', 'green', 'purple', 'orange', 'sky')
_ORDER = (*(COLOURS[name] for name in _NAMES), MUTED)
_MARKERS = 'osD^vPX'


def draw_coupling_curves(
    values: Mapping[str, np.ndarray],
    ratios: Sequence[float],
    path: str | Path,
    *,
    title: str = '',
    missing: str = 'share of A that is missing',
) -> Path:
    """CR between objects against the missing share of A: published form and full-angle form.

    Lines are means over pairs, bands two standard errors; dashed lines are medians, which tell
    where clamped denominators rule the mean. The legend names the share of those.

    Args:
        values: By network, ``InterObjectCoupling.values[layer]`` (pairs, ratios, 5).
        ratios: Missing shares, (ratios,).
        path: PNG to write.
        title: Printed above both.
        missing: Label of the horizontal axis.

    Returns:
        The path written.

    Raises:
        ValueError: If there is nothing to draw.
    """
    _refuse_nothing(values, 'draw_coupling_curves')
    figure, axes = sheet(1, 2, width=9.5, height=4.2)
    for place, column, name in ((axes[0, 0], 0, 'published form'), (axes[0, 1], 1, 'angular')):
        for number, (network, found) in enumerate(values.items()):
            one = found[:, :, column]  # (pairs, ratios)
            colour, marker = _look(number)
            mean, error = one.mean(axis=0), _errors(one)
            place.fill_between(
                ratios, mean - 2 * error, mean + 2 * error, color=colour, alpha=0.15, lw=0
            )
            label = network if column else f'{network} ({found[:, :, 2].mean():.0%} clamped)'
            place.plot(ratios, mean, color=colour, marker=marker, ms=4.5, label=label)
            place.plot(ratios, np.median(one, axis=0), color=colour, lw=1, ls=(0, (4, 2)))
        _no_leakage(place)
        place.set_title('Angular coupling, centred (ours)' if column else f'CR, {name}')
        place.set(xlabel=missing, ylabel='CR: mean, median dashed' if not column else '')
        place.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:.0%}'))
        place.legend(loc='best', fontsize=8, frameon=False)
    if title:
        figure.suptitle(title, fontsize=10, color=INK)
    return save_figure(figure, path)


def draw_coupling_by_layer(
    values: Mapping[str, Mapping[str, np.ndarray]],
    path: str | Path,
    *,
    title: str = '',
    label: str = 'CR between objects',
    start: float = 1.0,
) -> Path:
    """Bars layer by layer, one colour a network, whiskers of two standard errors.

    Args:
        values: By network and layer, numbers (samples,) or (samples, ratios); layers from shallow
            to deep. Networks may have different layers.
        path: PNG to write.
        title: Printed above.
        label: Of the vertical axis.
        start: Where bars begin: the value without leakage.

    Returns:
        The path written.

    Raises:
        ValueError: If there is nothing to draw.
    """
    layers = list(dict.fromkeys(layer for one in values.values() for layer in one))
    _refuse_nothing(layers, 'draw_coupling_by_layer')
    figure, axes = sheet(1, 1, width=2.6 + 0.75 * max(4, len(layers)), height=3.8)
    place = axes[0, 0]
    width = 0.8 / len(values)
    for number, (network, by_layer) in enumerate(values.items()):
        x = np.array([layers.index(layer) for layer in by_layer])
        samples = [one.reshape(len(one), -1).mean(axis=1) for one in by_layer.values()]
        mean = np.array([one.mean() for one in samples])
        error = np.array([float(_errors(one)) for one in samples])
        place.bar(
            x + (number - (len(values) - 1) / 2) * width,
            mean - start,
            width * 0.92,
            bottom=start,
            color=_look(number)[0],
            label=network,
            yerr=2 * error,
            error_kw=dict(ecolor=INK, elinewidth=1, capsize=2),
        )
    place.axhline(start, color=MUTED, linewidth=1)
    place.set_xticks(range(len(layers)), layers, rotation=45 if len(layers) > 8 else 0)
    place.grid(visible=False, axis='x')
    place.yaxis.set_major_locator(MaxNLocator(6))
    place.set(xlabel='layer', ylabel=label)
    if title:
        place.set_title(title)
    place.legend(loc='best', fontsize=8, frameon=False)
    return save_figure(figure, path)


def draw_coupling_histogram(
    values: Mapping[str, np.ndarray],
    path: str | Path,
    *,
    title: str = '',
    bins: int = 40,
    label: str = 'CR within an object, 1 - cosine',
) -> Path:
    """Histograms of CR within objects on common bins; a line marks each mean.

    Args:
        values: By network, ``IntraObjectCoupling.values[layer]`` (parts,).
        path: PNG to write.
        title: Printed above.
        bins: Between 0 and the largest value of all.
        label: Of the horizontal axis.

    Returns:
        The path written.

    Raises:
        ValueError: If there is nothing to draw.
    """
    _refuse_nothing(values, 'draw_coupling_histogram')
    figure, axes = sheet(1, 1, width=5.8, height=3.8)
    place = axes[0, 0]
    top = max(float(one.max()) for one in values.values())
    edges = np.linspace(0, max(top, 1e-6), bins + 1)
    for number, (network, one) in enumerate(values.items()):
        colour = _look(number)[0]
        share = np.histogram(one, edges)[0] / len(one)
        place.stairs(share, edges, color=colour, fill=True, alpha=0.22)
        place.stairs(share, edges, color=colour, lw=1.6, label=f'{network}: mean {one.mean():.3f}')
        place.axvline(one.mean(), color=colour, lw=1.4, ls=(0, (4, 2)))
    place.set(xlabel=label, ylabel='share of the parts')
    place.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{100 * value:.3g}%'))
    place.set_xlim(0, edges[-1])
    place.set_ylim(0)
    if title:
        place.set_title(title)
    place.legend(loc='upper right', fontsize=8, frameon=False)
    return save_figure(figure, path)


def draw_coupling_against(
    series: Mapping[str, Mapping[float | str, tuple[float, float]]],
    path: str | Path,
    *,
    xlabel: str,
    ylabel: str = 'CR between objects',
    title: str = '',
) -> Path:
    """CR against a setting of the training, such as its mask ratio or how exactly it aligns.

    Args:
        series: By method, mean and standard error of CR by setting: numbers, or names in the
            order they are to stand in.
        path: PNG to write.
        xlabel: The setting.
        ylabel: What is measured.
        title: Printed above.

    Returns:
        The path written.

    Raises:
        ValueError: If there is nothing to draw.
    """
    settings = list(dict.fromkeys(x for one in series.values() for x in one))
    _refuse_nothing(settings, 'draw_coupling_against')
    named = any(isinstance(x, str) for x in settings)
    figure, axes = sheet(1, 1, width=5.8, height=3.8)
    place = axes[0, 0]
    for number, (method, points) in enumerate(series.items()):
        colour, marker = _look(number)
        x = [settings.index(one) for one in points] if named else [float(one) for one in points]
        mean, error = np.array(list(points.values())).T
        order = np.argsort(x, kind='stable')
        place.errorbar(
            np.array(x)[order],
            mean[order],
            yerr=2 * error[order],
            color=colour,
            marker=marker,
            ms=5,
            capsize=2,
            elinewidth=1,
            label=method,
        )
    if named:
        place.set_xticks(range(len(settings)), [str(one) for one in settings])
    place.set(xlabel=xlabel, ylabel=ylabel)
    place.margins(x=0.06)
    if title:
        place.set_title(title)
    place.legend(loc='best', fontsize=8, frameon=False)
    return save_figure(figure, path)


def _look(number: int) -> tuple[str, str]:
    """Colour and marker of the n-th network."""
    return _ORDER[number % len(_ORDER)], _MARKERS[number % len(_MARKERS)]


def _errors(values: np.ndarray) -> np.ndarray:
    """Standard errors over the first axis; 0 for a single sample."""
    if len(values) < 2:
        return np.zeros(values.shape[1:])
    return np.asarray(values.std(axis=0, ddof=1) / len(values) ** 0.5)


def _no_leakage(place: Axes) -> None:
    """The line of CR = 1."""
    place.axhline(1, color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    place.annotate(
        'no leakage', (1, 1), xycoords=('axes fraction', 'data'), xytext=(-2, -3),
        textcoords='offset points', ha='right', va='top', fontsize=7.5, color=MUTED,
    )  # fmt: skip


def _refuse_nothing(found: Sequence | Mapping, name: str) -> None:
    if not found:
        raise ValueError(f'{name} got no values: measure at least one network and layer')
