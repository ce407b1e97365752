"""Words that runs of trials and the summary share."""

from collections.abc import Mapping


def version_tags(versions: Mapping[str, str]) -> dict[str, str]:
    """A tag for each version of what changes numbers."""
    return {f"version.{name}": value for name, value in versions.items()}


def word(value: bool) -> str:
    """A yes or no, as filters write it."""
    return "true" if value else "false"
