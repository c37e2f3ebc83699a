"""Nothing says "1 rows": wherever a number stands before a noun, the noun is asked of gemmalocal.jobs.plurals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from gemmalocal.jobs.plurals import counted, plural

ROOT = Path(__file__).parent.parent
SEVERAL = (  # never one: settings of lengths, limits of models, and what has several parts
    r"max_length|limit\b|context|n_ctx|'length'|longest_row|rows_per_step|LONGEST|ratio|shares|documents'"
    r"|_share\(|_of\(|len\(entries|joined|'prompt'|'completion'"
)
NO_NUMBER = r"\b(?:name|role|kind|url|fault|compare|good|bad|shortest)\b"  # a word, or a number of another thing
NOUNS = (
    "answers|chapters|characters|chats|columns|conversations|copies|datasets|days|documents|duplicates|entries|epochs"
    "|errors|examples|files|folders|layers|letters|lines|messages|minutes|models|more reasons|pages|pairs|passages"
    "|problems|prompts|questions|reasons|rounds|rows|runs|sections|sentences|settings|steps|tokens|turns|votes|warnings"
    "|weights|words"
)
BEFORE = re.compile(rf" (?:(?![bm]illion)[a-z-]+ )?(?:{NOUNS})\b")
PLURAL_BY_HAND = re.compile(r"'s' ?\*|\"s\" ?\*|'s' if|\"s\" if")


def unasked(path: Path) -> Iterator[str]:
    """Places where a number that may be one stands before a plural that is always written so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            for value, text in zip(node.values, node.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                    shown = ast.unparse(value.value)
                    told = shown.rpartition(".")[2].isupper() or re.search(f"{SEVERAL}|{NO_NUMBER}", shown)
                    if BEFORE.match(str(text.value)) and not told:
                        yield f"{path.relative_to(ROOT)}:{node.lineno} {{{shown}}}{text.value!r}"


def test_one_and_several() -> None:
    assert [counted(count, "row") for count in (0, 1, 2, 1200)] == ["0 rows", "1 row", "2 rows", "1,200 rows"]
    assert counted(1, "copy", "copies") == "1 copy"
    assert plural(1.0, "epoch") == "epoch"
    assert plural(0.5, "epoch") == "epochs"


def test_no_number_stands_before_a_noun_that_is_always_plural() -> None:
    files = [file for room in ("tui", "gemmalocal") for file in sorted((ROOT / room).rglob("*.py"))]
    assert [place for file in files for place in unasked(file)] == []
    assert [str(file) for file in files if PLURAL_BY_HAND.search(file.read_text(encoding="utf-8"))] == []
