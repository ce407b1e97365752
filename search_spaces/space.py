"""Names to what they may be."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from search_spaces.conditions import Condition, condition_problems
from search_spaces.parameters import Choice, Float, Int, Parameter, Value, check_value


class Space(Mapping[str, Parameter | Value]):
    """A frozen mapping of names to parameters or fixed values, in the order given.

    A parameter with a condition is there only where the parameters that it names have one of the
    values that it gives them: elsewhere it is left out of the settings.

    Args:
        entries: Name to parameter, or to a value that is fixed.
        conditions: Name to condition, of the parameters that have one; what they name must always
            vary, by choice or whole numbers.

    Raises:
        ValueError: If a fixed value is neither a word nor a finite number, or a condition cannot
            be meant.
    """

    def __init__(
        self,
        entries: Mapping[str, Parameter | Value],
        conditions: Mapping[str, Condition] = MappingProxyType({}),
    ) -> None:
        self._entries = dict(entries)
        self._conditions = {name: dict(condition) for name, condition in conditions.items()}
        for name, entry in self._entries.items():
            if not isinstance(entry, Float | Int | Choice):
                check_value(name, entry)
        for problem in condition_problems(self._entries, self._conditions):
            raise ValueError(
                f"{problem.must}, found {problem.found} ({problem.name}). {problem.advice}"
            )

    def __getitem__(self, name: str) -> Parameter | Value:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        conditions = f", {self._conditions!r}" if self._conditions else ""
        return f"Space({self._entries!r}{conditions})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Space)
            and self._entries == other._entries
            and self._conditions == other._conditions
        )

    def __hash__(self) -> int:
        return hash((tuple(self._entries.items()), tuple(self._conditions)))

    @property
    def conditions(self) -> Mapping[str, Condition]:
        """Name to condition, of those that have one."""
        return MappingProxyType(self._conditions)

    def is_active(self, name: str, values: Mapping[str, Value]) -> bool:
        """Whether ``name`` is there beside these values of the parameters that it depends on."""
        condition = self._conditions.get(name, {})
        return all(values[parent] in allowed for parent, allowed in condition.items())

    def there(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Of values for everything that varies those of what is there beside the others."""
        return {name: value for name, value in values.items() if self.is_active(name, values)}

    def asked_in_order(self) -> list[str]:
        """Names of what varies, those that others depend on before these."""
        return sorted(self.varied, key=lambda name: name in self._conditions)

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
        low, high = self._bounds(name, otherwise)
        if name in self._conditions:
            return min(low, otherwise), max(high, otherwise)
        return low, high

    def _bounds(self, name: str, otherwise: float) -> tuple[float, float]:
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
                own = (otherwise,) if name in self._conditions else ()
                return tuple(dict.fromkeys([*map(str, options), *own]))
            case value:
                return (str(value),)

    def settings(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The values of all that is there: what was chosen for the varied ones beside the fixed.

        Args:
            values: One value for each varied parameter that is there.

        Returns:
            Name to value, in the space's order.

        Raises:
            ValueError: If a varied parameter has no value, a name does not vary or is not there,
                or a value is outside its range.
        """
        varied, fixed = self.varied, self.fixed
        for name, value in values.items():
            if name not in varied:
                raise ValueError(
                    f"values may hold only {', '.join(varied) or 'nothing'}, found {name!r}. "
                    "Remove it."
                )
            if not varied[name].contains(value):
                raise ValueError(f"{name} must lie in {varied[name]}, found {value!r}. Change it.")
        missing = [name for name in varied if name not in self._conditions and name not in values]
        active = [name for name in self._entries if not missing and self.is_active(name, values)]
        missing += [name for name in active if name in varied and name not in values]
        if missing:
            raise ValueError(
                f"values must hold every varied parameter, found none for {', '.join(missing)}. "
                "Add it."
            )
        for name in values:
            if name not in active:
                raise ValueError(
                    f"{name} may have a value only when {self._conditions[name]}, found others. "
                    "Remove it."
                )
        return {name: values[name] if name in varied else fixed[name] for name in active}
