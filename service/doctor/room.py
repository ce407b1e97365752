"""What takes room, by part and by sweep."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from service.deletion import folder_bytes
from service.home import Home
from service.ledger import Ledger
from service.ownership import FOLDERS
from service.storage import Storage


@dataclass(frozen=True)
class Room:
    """Bytes of every part, and of every sweep's own files (the databases are shared)."""

    by_part: Mapping[str, int]
    by_sweep: Mapping[str, int]


def room(home: Home, ledger: Ledger, storage: Storage) -> Room:
    """What there is now.

    Raises:
        OSError: If the storage does not answer.
    """
    by_part = {"ledger": _ledger_bytes(ledger)}
    if home.mlflow_db is not None:
        by_part["mlflow.db"] = _database_bytes(home.mlflow_db)
    by_sweep: Counter[str] = Counter()
    for folder in FOLDERS:
        sizes = storage.sizes(folder)
        by_part[folder] = sum(sizes.values())
        for path, size in sizes.items():
            by_sweep[path.split("/")[1]] += size
    local = [home.tune] if home.artifacts is None else [home.artifacts, home.tune]
    for place in local:
        by_part[place.name] = folder_bytes(place)
        for each in _folders(place):
            by_sweep[each.name] += folder_bytes(each)
    return Room(by_part, dict(by_sweep.most_common()))


def _folders(place: Path) -> Iterable[Path]:
    return sorted(each for each in place.glob("*") if each.is_dir())


def _ledger_bytes(ledger: Ledger) -> int:
    if ledger.engine.dialect.name == "sqlite":
        return _database_bytes(Path(str(ledger.engine.url.database)))
    with ledger.engine.connect() as connection:
        size = connection.scalar(select(func.pg_database_size(func.current_database())))
    return int(size or 0)


def _database_bytes(path: Path) -> int:
    """With SQLite's own files beside it."""
    beside = [path.with_name(f"{path.name}{suffix}") for suffix in ("", "-wal", "-shm")]
    return sum(each.stat().st_size for each in beside if each.exists())
