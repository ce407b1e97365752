"""Keys of a sweep file that do not go together."""

from dataclasses import dataclass

from service.spec.yaml_values import KeyPath


@dataclass(frozen=True)
class Conflict:
    """Keys that do not go together.

    Attributes:
        paths: The keys; the first is the one to blame.
        must: What must hold.
        found: What was found instead.
        advice: What to do.
    """

    paths: tuple[KeyPath, ...]
    must: str
    found: str
    advice: str
