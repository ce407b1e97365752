"""Write ``docs/tables.md``: the columns of what ``monosweep export`` writes.

``python docs/list_columns.py`` after every change of ``service/columns.py``; a test compares.
"""

from pathlib import Path

from service.columns import CURVES_SCHEMA, NEURONS_SCHEMA, TRIALS_SCHEMA

FILE = Path(__file__).with_name("tables.md")
_TABLES = {
    "trials.parquet": ("One row a trial, ordered by phase and number.", TRIALS_SCHEMA),
    "curves.parquet": ("One row a step of each network's curve.", CURVES_SCHEMA),
    "neurons.parquet": ("One row a neuron of each network that ended complete.", NEURONS_SCHEMA),
}


def listed() -> str:
    """The page, in Markdown."""
    parts = [
        "# What `monosweep export` writes",
        "Parquet, columns in this order. What is not known is null. The same words are in each "
        'field\'s\nmetadata: `pyarrow.parquet.read_schema(path).field("loss").metadata`.',
    ]
    for name, (said, schema) in _TABLES.items():
        rows = [
            f"| `{field.name}` | {field.type} | {field.metadata[b'description'].decode()} |"
            for field in schema
        ]
        table = "\n".join(["| column | type | says |", "| --- | --- | --- |", *rows])
        parts += [f"## {name}", said, table]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    FILE.write_text(listed())
