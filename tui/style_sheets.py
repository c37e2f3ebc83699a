"""The style sheets: which are read when, and that each is parsed once in a process.

Home's, and that of all screens, are read before the first frame; the others after it, or with the first screen that
names them. Textual parses all of them again for each theme, for each app, and for each new kind of widget once there
are more than 64: a tenth of a second each time, which every new screen would wait for.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.css.types import CSSLocation

FOLDER = Path(__file__).parent
LATER = ("controls", "models", "train", "recipe", "compare", "documents", "dataset", "export")
MOST = 2048  # parsed sheets, of all themes

RuleSet.__hash__ = object.__hash__  # type: ignore[method-assign]  # the same, not in Python: each widget asks all rules

Variables = tuple[tuple[str, str], ...]


def sheets(*names: str) -> list[str | PurePath]:
    """The files of some of LATER, for a screen's CSS_PATH."""
    return [FOLDER / "screens" / f"{name}.tcss" for name in names]


class KeptStylesheet(Stylesheet):
    """Like Textual's; what was parsed with the same variables is taken as it is. Nobody changes it after."""

    def __init__(self, *, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._key: Variables = tuple(variables.items())

    def set_variables(self, variables: dict[str, str]) -> None:
        """The colours of another theme."""
        super().set_variables(variables)
        self._key = tuple(variables.items())

    def read_later(self) -> None:
        """All that are not read yet; no screen that is shown needs them."""
        self.read_all([path for path in map(Path, sheets(*LATER)) if not self.has_source(str(path))])
        self.parse()

    def reparse(self) -> None:
        """With the variables as they are now; on an error what was there before stays."""
        self.parse()

    def _parse_rules(
        self,
        css: str,
        read_from: CSSLocation,
        is_default_rules: bool = False,
        tie_breaker: int = 0,
        scope: str = "",
    ) -> list[RuleSet]:
        return _parsed(_sheet_of(self._key), css, read_from, is_default_rules, tie_breaker, scope)


@lru_cache(32)
def _sheet_of(variables: Variables) -> Stylesheet:
    """One that knows the variables; it is told nothing else."""
    return Stylesheet(variables=dict(variables))


@lru_cache(MOST)
def _parsed(sheet: Stylesheet, *source: Any) -> list[RuleSet]:
    return sheet._parse_rules(*source)
