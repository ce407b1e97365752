"""YAML events to plain data, with the line of every key.

What YAML allows and a sweep file does not is refused on the way.
"""

import math
from collections.abc import Iterator
from typing import Any

from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from service.errors import Problem
from service.spec.yaml_values import KeyPath, clipped, dotted, plain_scalar

MAX_DEPTH = 16  # a sweep file needs five


class RefusedError(Exception):
    """The file cannot be read any further."""

    def __init__(self, must: str, line: int, advice: str) -> None:
        super().__init__(must)
        self.problem = Problem(f"A sweep file must {must} (line {line}). {advice}", "", line)


class Reader:
    """Turns YAML events into plain data; collects lines and problems on the way."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {(): 1}
        self.problems: list[Problem] = []
        self.refused: set[KeyPath] = set()

    def document(self, events: Iterator[Event]) -> dict[str, Any]:
        """The mapping that the one document is."""
        data: dict[str, Any] | None = None
        num_documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                num_documents += 1
                self._check_start(event, num_documents)
            elif isinstance(event, MappingStartEvent):
                data = self._mapping(event, events, ())
            elif isinstance(event, NodeEvent) and not _is_empty(event):
                kind = {ScalarEvent: "a single value", AliasEvent: "an alias"}.get(
                    type(event), "a list"
                )
                raise RefusedError(
                    f"be a mapping, found {kind}", _line(event), "Begin with `name: my-sweep`."
                )
        if data is None:
            raise RefusedError("say something, found nothing", 1, "Begin with `name: my-sweep`.")
        return data

    def _check_start(self, event: DocumentStartEvent, num_documents: int) -> None:
        if num_documents > 1:
            raise RefusedError(
                "hold one document, found a second", _line(event), "Remove the `---` line."
            )
        if event.version is not None and tuple(event.version) != (1, 2):
            found = ".".join(str(number) for number in event.version)
            raise RefusedError(
                f"be YAML 1.2, found {found}", 1, "Remove the line that begins with %YAML."
            )

    def _value(self, event: Event, events: Iterator[Event], path: KeyPath) -> Any:
        if len(path) > MAX_DEPTH:
            raise RefusedError(
                f"be at most {MAX_DEPTH} levels deep, found more",
                _line(event),
                "Look for brackets that are not closed.",
            )
        if isinstance(event, MappingStartEvent):
            return self._mapping(event, events, path)
        if isinstance(event, CollectionStartEvent):
            return self._sequence(event, events, path)
        assert isinstance(event, NodeEvent)  # the ends of collections never come here
        self._check_node(event, path)
        return self._scalar(event, path) if isinstance(event, ScalarEvent) else None

    def _mapping(self, start: NodeEvent, events: Iterator[Event], path: KeyPath) -> dict[str, Any]:
        self._check_node(start, path)
        values: dict[str, Any] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            if not isinstance(event, ScalarEvent):
                self._skip_entry(event, events, path)
                continue
            key = event.value
            where = (*path, key)
            if key in values:
                self._refuse(
                    f"{dotted((key,))} must be given once, "
                    f"found it again after line {self.lines[where]}",
                    where,
                    _line(event),
                    "Remove one of them.",
                )
                self._value(next(events), events, where)
                continue
            self.lines[where] = _line(event)
            self._check_node(event, where)
            values[key] = self._value(next(events), events, where)
        return values

    def _sequence(self, start: NodeEvent, events: Iterator[Event], path: KeyPath) -> list[Any]:
        self._check_node(start, path)
        values: list[Any] = []
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            where = (*path, len(values))
            self.lines[where] = _line(event)
            values.append(self._value(event, events, where))
        return values

    def _scalar(self, event: ScalarEvent, path: KeyPath) -> Any:
        if event.style is not None:  # in quotes or a block: text, whatever it looks like
            return event.value
        value = plain_scalar(event.value)
        if isinstance(value, float) and not math.isfinite(value):
            self._refuse(
                f"A number must be finite, found {clipped(event.value)[1:-1]}",
                path,
                _line(event),
                "Write a finite one.",
            )
        return value

    def _check_node(self, event: NodeEvent, path: KeyPath) -> None:
        anchor, tag = event.anchor, getattr(event, "tag", None)
        if anchor is None and tag is None:
            return
        sign = "*" if isinstance(event, AliasEvent) else "&"
        what = (
            f"anchor or alias {sign}{anchor}"
            if anchor is not None
            else f"tag {_as_written(str(tag))}"
        )
        self._refuse(
            f"A value must be written out, found the YAML {clipped(what)[1:-1]}",
            path,
            _line(event),
            "Write the plain value itself.",
        )

    def _skip_entry(self, key: Event, events: Iterator[Event], path: KeyPath) -> None:
        self._refuse(
            "A key must be a word, found something else", path, _line(key), "Write a word."
        )
        self._value(key, events, (*path, 0))
        self._value(next(events), events, (*path, 0))

    def _refuse(self, must_and_found: str, path: KeyPath, line: int, advice: str) -> None:
        where = dotted(path)
        place = f"{where}, line {line}" if where else f"line {line}"
        self.problems.append(Problem(f"{must_and_found} ({place}). {advice}", where, line))
        self.refused.add(path)


def _as_written(tag: str) -> str:
    """A tag without what YAML puts before the short ones."""
    return tag.replace("tag:yaml.org,2002:", "!!")


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1


def _is_empty(event: NodeEvent) -> bool:
    return isinstance(event, ScalarEvent) and event.value == "" and event.style is None
