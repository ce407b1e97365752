"""The bias of each neuron, sorted by how much it answers to one feature only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes

from service.figures.columns import numbers, words
from service.figures.picture import Picture
from service.figures.style import BLACK, GREY, NEURONS, house_style, key_mark, marks


@dataclass(frozen=True)
class Network:
    """One trained network.

    Attributes:
        label: What it is called.
        neurons: Its neurons, the columns of ``neurons.parquet``.
    """

    label: str
    neurons: pa.Table


def neurons_figure(networks: Sequence[Network], small_print: str) -> Picture:
    """A panel for each network: neurons from the most concentrated to the dead, and their biases.

    Args:
        networks: At least one, each with neurons.
        small_print: Which sweep they are of.
    """
    width = min(3.2 + 3.2 * len(networks), 9.6)
    figure = Picture("The bias of each neuron, by what it answers to", small_print, width, 4.0)
    with house_style():
        panels = figure.subplots(1, len(networks), sharey=True, squeeze=False)[0]
        for axes, network in zip(panels, networks, strict=True):
            _draw(axes, network)
        panels[0].set_ylabel("bias")
        keys = [key_mark(look, kind) for kind, look in NEURONS.items()]
        figure.legend(handles=keys, loc="outside lower left", ncols=3)
    figure.finding = " ".join(_finding(network) for network in networks)
    return figure


def _draw(axes: Axes, network: Network) -> None:
    concentration = numbers(network.neurons, "concentration")
    kinds, biases = words(network.neurons, "kind"), numbers(network.neurons, "bias")
    # Dead ones have answered to nothing: they come last.
    order = np.lexsort((biases, -concentration, kinds == "dead"))
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    for kind, look in NEURONS.items():
        mine = kinds == kind
        marks(axes, ranks[mine], biases[mine], look, kind)
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    num = int(np.sum(kinds == "monosemantic"))
    if 0 < num < len(order):
        axes.axvline(num + 0.5, color=BLACK, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_title(f"{network.label}: {num} of {len(order)} monosemantic", loc="left")
    axes.set_xlabel("neurons, the most concentrated first")


def _finding(network: Network) -> str:
    kinds, biases = words(network.neurons, "kind"), numbers(network.neurons, "bias")
    said = [
        f"{int(np.sum(mine))} {kind} (mean bias {biases[mine].mean():+.2f})"
        for kind in NEURONS
        if (mine := kinds == kind).any()
    ]
    return f"{network.label} has {', '.join(said)}."
