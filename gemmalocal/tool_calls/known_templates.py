"""Chat templates that are known by their hash: whose they are, and what they can do.

Only hashes are kept. Those of models were taken of copies in projects under free licences: Hugging Face's TRL
(Apache-2.0) and llama.cpp (MIT). A template that is not here is asked what it can do, as all are.
"""

from __future__ import annotations

from dataclasses import dataclass

from gemmalocal.tool_calls.grammars import digest


@dataclass(frozen=True)
class KnownTemplate:
    """A version of a chat template. `since` is the day from which a public copy of it is known, if any.

    What it can do: write `tools`; a `system` text, which others put before the first question; the model's `thoughts`.
    """

    name: str
    since: str = ""
    tools: bool = False
    system: bool = False
    thoughts: bool = False

    def __str__(self) -> str:
        """As a sentence has it: whose, since when, and what it can do."""
        named = f"{self.name}, of {self.since}" if self.since else self.name
        abilities = {"tools": self.tools, "a system text": self.system, "thoughts": self.thoughts}
        return f"{named}; writes {_listed([what for what, can in abilities.items() if can])}"


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "questions and answers alone"


KNOWN = {  # by the digest of their text
    "ecd6ae513fe1": KnownTemplate("Gemma 1 and 2", "2025-01-30"),
    "8d9e3a3c114f": KnownTemplate("Gemma 3", "2026-04-22", system=True),
    "58c66fdee4af": KnownTemplate("Gemma 4 31B, the first", "2026-04-04", tools=True, system=True, thoughts=True),
    "1d35a24a2a63": KnownTemplate("Gemma 4 31B, the second", "2026-04-10", tools=True, system=True, thoughts=True),
    "08682c1b25b5": KnownTemplate("Gemma's turns, of gemmalocal", system=True),
    "0083d4f73020": KnownTemplate("Gemma 4's turns, of gemmalocal", system=True),
}


def known(source: str) -> KnownTemplate | None:
    """What is known of a template; None of one whose hash is not."""
    return KNOWN.get(digest(source))


def remark(source: str) -> str:
    """A template's hash, and what is known of it."""
    template = known(source)
    about = "not known to this version: asked what it can do" if template is None else f"known: {template}"
    return f"template {digest(source)} ({about})"
