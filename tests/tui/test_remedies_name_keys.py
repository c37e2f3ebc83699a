"""Every remedy that can reach the app names what can be done there: no command, no option."""

from __future__ import annotations

import ast
import re
import signal
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from gemmalocal.cli.command_groups import MODULES
from gemmalocal.jobs import exit_causes
from tui.remedies import MODELS, PHRASES, in_app

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(rf"\bgemmalocal (?:{'|'.join(MODULES)})\b")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
NEVER_SHOWN = (  # in the app: what a command, a launcher or a server says, a page, and what is written for others
    "cli", "api", "backends/convert_adapter.py", "backends/mlx/distributed.py", "backends/torch/distributed.py",
    "backends/mlx/serve.py", "evaluation/page", "export/card.py", "export/servers.py", "pipelines/adapter.py",
    "recipe/overrides.py", "serving", "tracking/mlflow.py", "tracking/tensorboard.py", "tracking/trackio.py",
)  # fmt: skip
PARTS = {"gemmalocal resume NAME --set NAME", "gemmalocal resume NAME --set train.early_stop=null", "--set NAME"}
PRINTED = {"gemmalocal train prefer-votes"}  # with a report that the app has a key for: F4


@cache
def told() -> frozenset[str]:
    """The texts of the code that name a command or an option, with NAME for what is put into them."""
    found = set()
    for file in sorted((ROOT / "gemmalocal").rglob("*.py")):
        if str(file.relative_to(ROOT / "gemmalocal")).startswith(NEVER_SHOWN):
            continue
        tree = ast.parse(file.read_text())
        passed_over = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr):  # what stands alone explains the code
                passed_over.add(id(node.value))
            if id(node) in passed_over:  # parents come first
                continue
            words = _words(node)
            if COMMAND.search(words) or OPTION.search(words):
                found.add(words)
    return frozenset(found)


def _words(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "NAME" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize("words", sorted(told() - PARTS - PRINTED))
def test_no_remedy_is_a_command_or_an_option_in_the_app(words: str) -> None:
    ours = in_app(words)
    assert not COMMAND.search(ours)
    assert re.search(r"\b(?:pip|llama-\S+) \S", ours) or not OPTION.search(ours)


def _beginnings() -> str:
    """First words of remedies: those that have no capital within a sentence."""
    ours = [replacement for _, replacement in PHRASES]
    firsts = {words.split()[0] for words in [*told(), *ours] if words[:1].isupper()}
    return "|".join(sorted(first for first in firsts if first.isalpha() and first.istitle()) + ["Close"])


@pytest.mark.parametrize("words", sorted(told() - PARTS - PRINTED))
def test_a_remedy_has_no_capital_within_a_sentence(words: str) -> None:
    assert not re.search(rf"[a-z,:;] (?:{_beginnings()}) ", in_app(words).replace(MODELS, ""))


def test_a_remedy_that_ends_a_sentence_goes_on_small() -> None:
    """`.hint` after a colon or a comma is told by `going_on`."""
    assert "If it was memory: close other programs, and resume with" in exit_causes.explain("", None).hint
    assert "If it was memory: close" in exit_causes.explain("", -signal.SIGKILL).hint
    capital = []
    for file in sorted([*(ROOT / "gemmalocal").rglob("*.py"), *(ROOT / "tui").rglob("*.py")]):
        texts = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.JoinedStr)]
        for before, part in (pair for text in texts for pair in pairwise(text.values)):
            begun = isinstance(before, ast.Constant) and str(before.value).endswith((": ", ", ", "; "))
            told_as = ast.unparse(part.value) if isinstance(part, ast.FormattedValue) else ""
            if begun and re.fullmatch(r"(in_app\()?[\w.]+\.(hint|remedy)\)?", told_as):
                capital.append(f"{file}:{part.lineno}")
    assert not capital


def test_every_remedy_is_found_and_told_whole() -> None:
    assert len(told()) > 50
    more = "For more: gemmalocal resume quotes-1 --set train.steps=200"
    assert in_app(more) == "For more steps begin a run by its recipe (a)."


def test_no_remedy_is_drawn_as_it_stands() -> None:
    """`.hint` goes through `in_app`, or into an error that the screen of problems takes."""
    bare = []
    for file in sorted((ROOT / "tui").rglob("*.py")):
        tree = ast.parse(file.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        taken = {
            id(part)
            for call in calls
            if isinstance(call.func, ast.Name) and call.func.id in ("in_app", "GemmalocalError")
            for part in ast.walk(call)
        }
        hints = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "hint"]
        bare += [f"{file.name}:{node.lineno}" for node in hints if id(node) not in taken]
    assert [place.partition(":")[0] for place in bare] == ["train.py"]  # it looks there for the field to go to
