"""What the neurons of one trial's network do, ready to be shown, written or drawn."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from service.kept_code import kept_or_compiled
from service.network_of_trial import FoundNetwork
from service.tables import write_tables
from trainers import obtain_machine_code_by
from trainers.interpretation import COLUMNS, Interpretation, finding_of, interpret, tables


@dataclass(frozen=True, eq=False)
class Interpreted:
    """An interpretation, and whose it is.

    Attributes:
        trial_id: The trial that the network is of.
        origin: Where the network is from, a sentence.
        settings: Those of the network.
        finding: One paragraph, computed from the numbers alone.
        interpretation: The numbers.
        tables: The same as Arrow tables, by name; each field's metadata says what it is.
    """

    trial_id: str
    origin: str
    settings: Mapping[str, float | int | str]
    finding: str
    interpretation: Interpretation
    tables: Mapping[str, pa.Table]

    def rows(self, name: str) -> list[Mapping[str, Any]]:
        """A table row by row."""
        rows: list[Mapping[str, Any]] = self.tables[name].to_pylist()
        return rows

    def as_json(self) -> dict[str, Any]:
        """What is not of single neurons and features; what is not defined is null."""
        return {
            "trial": self.trial_id,
            "origin": self.origin,
            "settings": dict(self.settings),
            "finding": self.finding,
            "neurons": Counter(self.interpretation.neurons.kind.tolist()),
            **{
                name: [
                    {key: _json_number(value) for key, value in row.items()}
                    for row in self.rows(name)
                ]
                for name in ("parts", "removal")
            },
        }

    def write(self, folder: Path) -> list[Path]:
        """Every table as Parquet into a folder; the files written.

        Raises:
            UserError: If the folder cannot be written to.
        """
        return write_tables(self.tables, folder)


def interpreted(found: FoundNetwork) -> Interpreted:
    """Say what the neurons of a network do."""
    obtain_machine_code_by(kept_or_compiled)
    numbers = interpret(found.network)
    return Interpreted(
        trial_id=found.trial.trial_id,
        origin=found.origin,
        settings=found.trial.settings,
        finding=finding_of(numbers),
        interpretation=numbers,
        tables={name: _table(name, columns) for name, columns in tables(numbers).items()},
    )


def _table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    table = pa.table({column: pa.array(values) for column, values in columns.items()})
    said = COLUMNS[name]
    fields = [field.with_metadata({"description": said[field.name]}) for field in table.schema]
    return table.cast(pa.schema(fields))


def _json_number(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value
