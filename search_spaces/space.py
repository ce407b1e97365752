"""Names to what they may be."""

from collections.abc import Iterator, Mapping

from search_spaces.parameters import Choice, Float, Int, Parameter, Value, check_value


class Space(Mapping[str, Parameter | Value]):
    """A frozen mapping of names to parameters or fixed values, in the order given.

    Args:
        entries: Name to parameter, or to a value that is fixed.

    Raises:
        ValueError: If a fixed value is neither a word nor a finite number.
    """

    def __init__(self, entries: Mapping[str, Parameter | Value]) -> None:
        self._entries = dict(entries)
        for name, entry in self._entries.items():
            if not isinstance(entry, Float | Int | Choice):
                check_value(name, entry)

    def __getitem__(self, name: str) -> Parameter | Value:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Space({self._entries!r})"

    def __hash__(self) -> int:
        return hash(tuple(self._entries.items()))

    @property
    def varied(self) -> dict[str, Parameter]:
        """Parameters with more than one value left, by name."""
        return {
            name: entry
            for name, entry in self._entries.items()
            if isinstance(entry, Float | Int | Choice) and not entry.is_fixed
        }

    @property
    def fixed(self) -> dict[str, Value]:
        """Values that do not vary, by name: bare values, and parameters with one value left."""
        values: dict[str, Value] = {}
        for name, entry in self._entries.items():
            if not isinstance(entry, Float | Int | Choice):
                values[name] = entry
            elif entry.is_fixed:
                values[name] = entry.first
        return values

    def bounds(self, name: str, otherwise: float) -> tuple[float, float]:
        """The least and the largest number that ``name`` may be.

        Args:
            name: A setting that is a number.
            otherwise: Its value where the space does not name it.
        """
        match self._entries.get(name):
            case None:
                return otherwise, otherwise
            case Float(low=low, high=high) | Int(low=low, high=high):
                return low, high
            case Choice(options=options):
                numbers = [float(option) for option in options]
                return min(numbers), max(numbers)
            case value:
                return float(value), float(value)

    def options(self, name: str, otherwise: str) -> tuple[str, ...]:
        """The words that ``name`` may be.

        Args:
            name: A setting that is a word.
            otherwise: Its value where the space does not name it.
        """
        match self._entries.get(name):
            case None:
                return (otherwise,)
            case Choice(options=options):
                return tuple(map(str, options))
            case value:
                return (str(value),)

    def settings(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Every name's value: what was chosen for the varied ones beside the fixed ones.

        Args:
            values: One value for each varied parameter.

        Returns:
            Name to value, in the space's order.

        Raises:
            ValueError: If a varied parameter has no value, a name does not vary, or a value is
                outside its range.
        """
        varied, fixed = self.varied, self.fixed
        missing = [name for name in varied if name not in values]
        if missing:
            raise ValueError(
                f"values must hold every varied parameter, found none for {', '.join(missing)}. "
                "Add it."
            )
        for name, value in values.items():
            if name not in varied:
                raise ValueError(
                    f"values may hold only {', '.join(varied) or 'nothing'}, found {name!r}. "
                    "Remove it."
                )
            if not varied[name].contains(value):
                raise ValueError(f"{name} must lie in {varied[name]}, found {value!r}. Change it.")
        return {name: values[name] if name in varied else fixed[name] for name in self._entries}
