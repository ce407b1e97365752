"""The figures of a sweep: what it found, how its networks were trained, and who trained them.

Each is a function of plain tables and values that returns a ``Picture``; the gallery draws those
that a sweep has something to show in.
"""

from service.figures.activations import activations_figure
from service.figures.gallery import Gallery
from service.figures.picture import Picture, as_png, as_svg

__all__ = ["Gallery", "Picture", "activations_figure", "as_png", "as_svg"]
