"""General questions with answers that a program can check, and neutral texts in ten registers: see LICENCE.md."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from gemmalocal.evaluation.json_values import parsed
from gemmalocal.evaluation.metrics import number

# A text says that it cannot say, in the languages that the questions are in.
REFUSAL = re.compile(
    r"\b(?:not|no|never|none|cannot|can't|don't|doesn't|didn't|isn't|wasn't|nonsens\w*|nobody|nothing|impossible|"
    r"unclear|metaphor\w*|abstract|fiction\w*|meaningless|without)\b",
    re.IGNORECASE,
)

BORDER = "\n%%\n"  # between the texts of a file


@dataclass(frozen=True)
class Question:
    """A question, its sort, and how a right answer is known: by `word`, `number`, `json`, `pattern` or `refusal`."""

    kind: str
    text: str
    right: dict[str, Any]

    def is_right(self, answer: str) -> bool:
        """Whether an answer is; of a longer one its first paragraph counts, of a number's its first line."""
        first = answer.strip().split("\n\n")[0].strip()
        match self.right:
            case {"word": list() as words}:
                return any(re.search(rf"(?<!\w){re.escape(word)}", first, re.IGNORECASE) for word in words)
            case {"number": str() as wanted}:
                return str(number(first.split("\n")[0])) == wanted
            case {"json": wanted}:
                return bool(parsed(answer.strip()) == wanted)
            case {"pattern": str() as pattern}:
                return re.fullmatch(pattern, answer.strip()) is not None
        return bool(REFUSAL.search(first))


@dataclass(frozen=True)
class Text:
    """A neutral text of a register."""

    register: str
    number: int  # among those of its register, from 1
    text: str

    @property
    def name(self) -> str:
        """What tells it from the others."""
        return f"{self.register} {self.number}"


def questions() -> list[Question]:
    """All forty."""
    lines = (resources.files(__name__) / "questions.jsonl").read_text("utf-8").splitlines()
    return [Question(line["kind"], line["question"], line["right"]) for line in map(json.loads, lines)]


SOME = 4  # texts of each register that a CPU reads: a fifth of all tokens


def some(texts: Sequence[Text]) -> list[Text]:
    """The first few of each register."""
    return [text for text in texts if text.number <= SOME]


def texts() -> list[Text]:
    """All texts, register by register."""
    files = sorted((resources.files(__name__) / "texts").iterdir(), key=lambda file: file.name)
    return [
        Text(register, place, text.strip("\n"))
        for file in files
        for register in [file.name.removesuffix(".txt")]
        for place, text in enumerate(file.read_text("utf-8").split(BORDER), 1)
    ]
