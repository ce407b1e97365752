"""A sweep of thousands of trials in MLflow's SQLite file, made in seconds.

A few trials go through the real projection; the rest are copies of their rows, each with numbers
of its own.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

# Tables with rows of a run, and its id in them.
_TABLES = ("runs", "params", "tags", "metrics", "latest_metrics")
# Moves a metric by up to a tenth; params and tags are text, which stays.
_MOVED = (
    "CASE typeof(value) WHEN 'text' THEN value "
    "ELSE value * (1.0 + (copies.number * 7919 % 1000) / 10000.0) END"
)


def multiply(database: Path, total: int) -> None:
    """Copy the search trials' runs until there are so many of them.

    Args:
        database: MLflow's file, with a run for each of ``search/0``, ``search/1``, ... up to some.
        total: Runs of search trials at the end.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        templates = [
            run_id
            for (run_id,) in connection.execute(
                "SELECT run_uuid FROM tags WHERE key = 'phase' AND value = 'search'"
            )
        ]
        connection.execute("CREATE TEMP TABLE copies (number, copy, source)")
        connection.executemany(
            "INSERT INTO copies VALUES (?, ?, ?)",
            [
                (number, f"{number:032x}", templates[number % len(templates)])
                for number in range(len(templates), total)
            ],
        )
        for table in _TABLES:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) "
                f"SELECT {', '.join(map(_value, columns))} "
                f"FROM copies JOIN {table} ON {table}.run_uuid = copies.source"
            )
        for key, value in (("monosweep.trial", "''"), ("mlflow.runName", "': copied'")):
            connection.execute(
                f"UPDATE tags SET value = 'search/' || copies.number || {value} "
                "FROM copies WHERE tags.run_uuid = copies.copy AND tags.key = ?",
                (key,),
            )


def _value(column: str) -> str:
    """What a copy has in a column: an id, a name and numbers of its own."""
    own = {
        "run_uuid": "copies.copy",
        "name": "'search/' || copies.number || ': copied'",
        "start_time": "start_time + copies.number",
        "value": _MOVED,
    }
    return own.get(column, column)
