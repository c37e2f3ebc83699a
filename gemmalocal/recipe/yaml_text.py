"""YAML to plain values with the lines of their keys, within bounds of size and depth; it needs a second at most.

Built of ruamel.yaml's events (YAML 1.2), not of its nodes: those nest and repeat without an end. Anchors, aliases and
merge keys are understood; tags are not, but for the plain ones (`!!str`); dates are text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.reader import ReaderError

from gemmalocal.jobs.plurals import counted

LONGEST = 1 << 18  # characters
DEEPEST = 24  # levels
MOST = 20_000  # values, those of aliases counted wherever they stand
DIGITS = 300  # of a number
TAG = "tag:yaml.org,2002:"
PLAIN = ("str", "int", "float", "bool", "null", "map", "seq")

KeyPath = tuple[str | int, ...]  # keys and places in lists, from the outside


class NotUnderstood(Exception):
    """What is wrong with a text, as a sentence without its end, and the line."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line, self.why = line, why


class Parsed(NamedTuple):
    """Dicts, lists and scalars, and the line (from 1) where each key stands."""

    value: Any
    lines: dict[KeyPath, int]


@dataclass
class _Level:
    """A mapping or a list that is still open."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    line: int
    key: str | None = None
    lines: dict[str | int, int] = field(default_factory=dict)
    merged: list[tuple[Any, int]] = field(default_factory=list)
    size: int = 1
    depth: int = 1


@dataclass(frozen=True)
class _Known:
    """What an anchor stands for."""

    value: Any
    size: int = 1
    depth: int = 0


def parse(text: str) -> Parsed:
    """Read a text; raises `NotUnderstood`."""
    if len(text) > LONGEST:
        raise NotUnderstood(1, f"it is too long to be read: more than {LONGEST:,} characters")
    builder, line = _Builder(), 1
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            line = event.start_mark.line + 1
            builder.take(event, line)
    except MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        raise NotUnderstood(place.line + 1 if place else line, f"this is not YAML: {error.problem}") from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise NotUnderstood(
            line, f"this is not YAML: a character U+{error.character:04X} has no place in it"
        ) from error
    except (
        YAMLError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        NotImplementedError,
    ) as error:
        raise NotUnderstood(line, "this is not YAML") from error
    return Parsed(builder.root, dict(builder.places()))


class _Builder:
    def __init__(self) -> None:
        self.root: Any = None
        self._documents = 0
        self._open: list[_Level] = []
        self._known: dict[str, _Known] = {}
        self._lines: dict[int, dict[str | int, int]] = {}  # by the identity of a mapping or list
        self._yaml = YAML(typ="safe", pure=True)

    def take(self, event: Any, line: int) -> None:
        """Go on by one event."""
        match event:
            case DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise NotUnderstood(line, "a second document begins here (---): there may be one only")
            case AliasEvent():
                if (anchored := self._known.get(event.anchor)) is None:
                    raise NotUnderstood(line, f"*{event.anchor} refers to itself, or to nothing that was named before")
                self._add(anchored, line, text=None)
            case ScalarEvent():
                value = self._scalar(event, line)
                self._name(event, _Known(value))
                self._add(_Known(value), line, event.value, plain=event.style is None)
            case MappingStartEvent() | SequenceStartEvent():
                self._tag(event, line)
                container: Any = {} if isinstance(event, MappingStartEvent) else []
                self._open.append(_Level(container, event.anchor, line))
                self._bound(0, line)
            case NodeEvent():
                raise NotUnderstood(line, "this is not YAML")
            case _ if type(event).__name__ in ("MappingEndEvent", "SequenceEndEvent"):
                self._close(line)

    def places(self, value: Any = None, before: KeyPath = ()) -> list[tuple[KeyPath, int]]:
        """The lines of all keys, wherever they stand; the bounds hold for what aliases repeat, too."""
        value = self.root if not before else value
        own = self._lines.get(id(value), {})
        key_lines: list[tuple[KeyPath, int]] = []
        for key, line in own.items():
            key_lines.append(((*before, key), line))
            key_lines += self.places(value[key], (*before, key))
        return key_lines

    def _close(self, line: int) -> None:
        level = self._open.pop()
        if isinstance(level.value, dict):
            for merged, at in level.merged:
                self._merge(level, merged, at)
        self._lines[id(level.value)] = level.lines
        closed = _Known(level.value, level.size, level.depth)
        if level.anchor:
            self._known[level.anchor] = closed
        self._add(closed, level.line, text=None)

    def _add(self, added: _Known, line: int, text: str | None, plain: bool = False) -> None:
        """Put a value where it belongs; `text` is what a scalar was written as."""
        if not self._open:
            self.root = added.value
            return
        level = self._open[-1]
        level.size += added.size
        level.depth = max(level.depth, added.depth + 1)
        self._bound(added.depth, line)
        if isinstance(level.value, list):
            level.lines[len(level.value)] = line
            level.value.append(added.value)
        elif level.key is None:
            level.key = self._key(level, added, line, text, plain)
        elif level.key == "<<":
            level.merged.append((added.value, line))
            level.key = None
        else:
            level.value[level.key], level.key = added.value, None

    def _key(self, level: _Level, added: _Known, line: int, text: str | None, plain: bool) -> str:
        key = added.value if text is None and isinstance(added.value, str) else text
        if key is None:
            raise NotUnderstood(line, "a key must be a word")
        if key == "<<" and plain:
            return key
        if key in level.lines:
            raise NotUnderstood(line, f"this is not YAML: the key '{_short(key)}' is there twice")
        level.lines[key] = line
        return key

    def _merge(self, level: _Level, merged: Any, line: int) -> None:
        """Keys of `<<`; those that stand there themselves go before."""
        assert isinstance(level.value, dict)
        for mapping in merged if isinstance(merged, list) else [merged]:
            if not isinstance(mapping, dict):
                raise NotUnderstood(line, "<< takes keys from elsewhere, such as <<: *name")
            for key, value in mapping.items():
                if key not in level.value:
                    level.value[key] = value
                    level.lines[key] = line

    def _bound(self, more: int, line: int) -> None:
        if len(self._open) + more > DEEPEST:
            raise NotUnderstood(line, f"it is nested more than {DEEPEST} levels deep")
        if self._open[-1].size > MOST:
            raise NotUnderstood(line, f"it holds more than {MOST:,} values, as aliases repeat them")

    def _name(self, event: Any, known: _Known) -> None:
        if event.anchor:
            self._known[event.anchor] = known

    def _tag(self, event: Any, line: int) -> str:
        tag = str(event.tag or "")
        if tag and tag != "!" and tag.removeprefix(TAG) not in PLAIN:
            raise NotUnderstood(line, f"tags are not understood: leave {_short(tag.replace(TAG, '!!'))} out")
        return tag

    def _scalar(self, event: Any, line: int) -> Any:
        tag = self._tag(event, line)
        if any("\ud800" <= mark <= "\udfff" for mark in event.value):
            raise NotUnderstood(line, "a text holds half a character (a surrogate)")
        if "\0" in event.value:
            raise NotUnderstood(line, "a text holds the character U+0000, where other programs would end the text")
        if event.style is not None or tag in ("!", TAG + "str"):
            return event.value
        node = ScalarNode(TAG + "str", event.value)
        kind = str(self._yaml.resolver.resolve(ScalarNode, event.value, (True, False))).removeprefix(TAG)
        if kind not in ("int", "float", "bool", "null"):
            return event.value
        if kind in ("int", "float") and len(event.value) > DIGITS:
            raise NotUnderstood(line, f"a number of {counted(len(event.value), 'character')}")
        return getattr(self._yaml.constructor, f"construct_yaml_{kind}")(node)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."
