"""Nothing says "1 rows": wherever a number stands before a noun, the noun is asked of gemmalocal.jobs.plurals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from gemmalocal.jobs.plurals import counted, plural

ROOT = Path(__file__).parent.parent
SEEN = ("documents/tables", "documents/mail", "workspace/covered")  # in the app too
NOUNS = (
    "answers|chapters|characters|chats|columns|conversations|copies|datasets|days|documents|duplicates|entries|epochs"
    "|errors|examples|files|folders|layers|letters|lines|messages|minutes|models|more reasons|pages|pairs|passages"
    "|problems|prompts|questions|reasons|rounds|rows|runs|sections|sentences|settings|steps|tokens|turns|votes|warnings"
    "|weights|words"
)
BEFORE = re.compile(rf" (?:[a-z-]+ )?(?:{NOUNS})\b")
PLURAL_BY_HAND = re.compile(r"'s' ?\*|\"s\" ?\*|'s' if|\"s\" if")


def unasked(path: Path) -> Iterator[str]:
    """Places where a number that may be one stands before a plural that is always written so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            for value, text in zip(node.values, node.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                    name = ast.unparse(value.value).rpartition(".")[2]
                    of_several = name.isupper() or "LONGEST" in name or "ratio" in name
                    if BEFORE.match(str(text.value)) and not of_several:
                        yield f"{path.relative_to(ROOT)}:{node.lineno} {{{ast.unparse(value.value)}}}{text.value!r}"


def test_one_and_several() -> None:
    assert [counted(count, "row") for count in (0, 1, 2, 1200)] == ["0 rows", "1 row", "2 rows", "1,200 rows"]
    assert counted(1, "copy", "copies") == "1 copy"
    assert plural(1.0, "epoch") == "epoch"
    assert plural(0.5, "epoch") == "epochs"


def test_no_number_stands_before_a_noun_that_is_always_plural() -> None:
    files = [*sorted((ROOT / "tui").rglob("*.py")), *(ROOT / "gemmalocal" / f"{name}.py" for name in SEEN)]
    assert [place for file in files for place in unasked(file)] == []
    assert [str(file) for file in files if PLURAL_BY_HAND.search(file.read_text(encoding="utf-8"))] == []
