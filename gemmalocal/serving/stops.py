"""Stop words: the text ends before the first of them, wherever its pieces break."""

from __future__ import annotations

from collections.abc import Sequence


class Stops:
    """Text in pieces, of which no more is let out than is surely before a stop word."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._held = ""
        self.met = False

    def __call__(self, text: str, last: bool = False) -> str:
        """What may be said by now; all that is left when it was the `last`. Once a word was `met`, nothing."""
        if self.met:
            return ""
        self._held += text
        positions = [position for word in self._words if (position := self._held.find(word)) >= 0]
        self.met = bool(positions)
        end = min(positions) if positions else len(self._held) - (0 if last else self._pending())
        released, self._held = self._held[:end], "" if self.met else self._held[end:]
        return released

    def _pending(self) -> int:
        """How many letters at the end may be the beginning of a word."""
        longest = min(len(self._held), max(map(len, self._words), default=1) - 1)
        for count in range(longest, 0, -1):
            if any(word.startswith(self._held[-count:]) for word in self._words):
                return count
        return 0
