"""What brings a ledger to each version from the one before it."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Table

from service.ledger.checksums import add_checksums

VERSION = 10
# The queue's table is made with all of its columns where it is not there yet.
_FIRST_WITH_QUEUE = 9
_FIRST_WITH_CHECKSUMS = 4
_STATEMENTS: Mapping[int, Sequence[str]] = {
    2: ("ALTER TABLE monosweep_attempts ADD COLUMN first_step INTEGER",),
    3: ("ALTER TABLE monosweep_sweeps ADD COLUMN deleting_at FLOAT",),
    4: (
        "ALTER TABLE monosweep_sweeps ADD COLUMN checksum TEXT",
        "ALTER TABLE monosweep_results ADD COLUMN checksum TEXT",
    ),
    5: (),  # one table more, which is made with those that are missing
    6: ("ALTER TABLE monosweep_sweeps ADD COLUMN budgets JSON",),
    7: ("ALTER TABLE monosweep_results ADD COLUMN standings JSON",),
    8: (
        "ALTER TABLE monosweep_results ADD COLUMN weights TEXT",
        "ALTER TABLE monosweep_attempts ADD COLUMN worker TEXT",
    ),
    9: (),  # a server's tables, which are made with those that are missing
    10: ("ALTER TABLE monosweep_queue ADD COLUMN num_refusals INTEGER NOT NULL DEFAULT 0",),
}


def migrate(connection: Connection, found: int, with_checksums: Sequence[Table]) -> None:
    """Bring the tables up to date, in the transaction of the connection.

    Args:
        connection: To the ledger.
        found: Their version, an earlier one.
        with_checksums: The tables whose rows have a checksum.
    """
    for step in range(found + 1, VERSION + 1):
        if step > _FIRST_WITH_QUEUE > found:
            continue
        for statement in _STATEMENTS[step]:
            connection.exec_driver_sql(statement)
    if found < _FIRST_WITH_CHECKSUMS:
        add_checksums(connection, with_checksums)
