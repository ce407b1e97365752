"""What each neuron answers when it is shown one feature alone, as a heat map."""

import numpy as np
from matplotlib.colors import PowerNorm
from numpy.typing import NDArray

from service.figures.picture import Picture
from service.figures.style import house_style


def activations_figure(
    responses: NDArray[np.floating], dead_below: float, label: str, small_print: str
) -> Picture:
    """Single-feature activations, neurons sorted so that those for one feature make a diagonal.

    Neurons are sorted by the feature that they answer to most, those that answer to nothing last;
    of several for one feature the most concentrated comes first.

    Args:
        responses: Each neuron's response to each feature alone at value 1. Shape ``[k, N]``.
        dead_below: A neuron that answers to nothing by more is dead.
        label: The network's name.
        small_print: Which sweep it is of.

    Source: Jermyn et al. 2022, section 3.
    """
    positive = np.maximum(np.asarray(responses, dtype=np.float64), 0.0)
    strength, total = positive.max(axis=1), positive.sum(axis=1)
    concentration = strength / (1e-10 + total)
    is_dead = strength <= dead_below
    order = np.lexsort((-concentration, positive.argmax(axis=1), is_dead))
    num_neurons, num_features = positive.shape
    figure = Picture(f"What each neuron of {label} answers to", small_print, 6.4, 6.4)
    with house_style():
        axes = figure.subplots()
        image = axes.imshow(
            positive[order],
            cmap="Greys",
            aspect="auto",
            interpolation="nearest",
            # By the square root, so that faint answers are seen beside strong ones.
            norm=PowerNorm(0.5, vmin=0.0, vmax=float(strength.max()) or 1.0),
        )
        axes.grid(visible=False)
        axes.set_xlabel(f"feature shown alone (of {num_features})")
        axes.set_ylabel(f"neuron, by its strongest feature (of {num_neurons})")
        figure.colorbar(image, ax=axes, label="activation (shade: its square root)", shrink=0.7)
    dead = int(np.sum(is_dead))
    answered = len(set(positive.argmax(axis=1)[~is_dead].tolist()))
    figure.finding = (
        f"{num_neurons - dead} of {num_neurons} neurons answer to a feature, {dead} to none; "
        f"{answered} of {num_features} features are the strongest of some neuron."
    )
    return figure
