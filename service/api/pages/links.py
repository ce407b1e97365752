"""Other pages that people look at beside the server's own: only where an admin says they are."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from service.errors import UserError
from service.home import without_password

_VARIABLES = {"MLflow": "MONOSWEEP_MLFLOW_PAGES", "Ray": "MONOSWEEP_RAY_PAGES"}


@dataclass(frozen=True)
class Link:
    """A place that the pages link to.

    Attributes:
        name: What it is called.
        address: Where people's browsers find it.
    """

    name: str
    address: str


def links_from_environment() -> tuple[Link, ...]:
    """The places that the environment names.

    Raises:
        UserError: If one is no address of a page.
    """
    given = {name: os.environ.get(variable) for name, variable in _VARIABLES.items()}
    return tuple(_link(name, address) for name, address in given.items() if address)


def _link(name: str, address: str) -> Link:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.password:
        raise UserError(
            f"{_VARIABLES[name]} must be an address that people open {name}'s pages by, without a "
            f"password, such as https://host/, found {without_password(address)!r}. Mend it."
        )
    return Link(name, address)
