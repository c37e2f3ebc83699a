"""The recipes that a run can begin with: shipped ones, those in the current folder, and those of past runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content

from gemmalocal.files import safe_read
from gemmalocal.jobs import history

if TYPE_CHECKING:
    from tui.screens.pick import Offers

FIRST = "quotes"
SENTENCES = 2  # of a recipe's first comment
FOR = {
    "quotes": "For a first look, on any machine: a small model learns to finish quotes and to name their authors.",
    "english-quotes": "The classic notebook: Gemma 2B learns English quotes, which come from the Hugging Face Hub.",
    "instruct": "For your own conversations: questions and answers that you have in a file.",
    "docs-qa": "For your own documents: make rows of them first (d at home), then train on these.",
    "m-series-4b": "For a Mac with 16 GB: a larger model in 4 bits, on your own conversations.",
    "t4-qlora": "For a graphics card with 16 GB, such as a rented T4: Gemma 2 2B in 4 bits.",
    "prefer-votes": "For the votes that you gave in comparisons (F4 there makes rows of them).",
    "prefer-pairs": "For judgements that you have in a file: pairs of a better and a worse answer.",
    "function-calling": "For calls of tools: a small model, made for it, learns when to call yours, and with what.",
    "teach": "A larger model reads your rows once, and a small one learns what it says of each word.",
}  # what the shipped ones are for, without words of the command line
LONGEST = 1 << 20  # bytes that a recipe has at most
PAST = 5  # newest runs whose recipes are offered


def recipes() -> Offers:
    """All of them, as a list offers them: the id is the file."""
    known = known_recipes()
    width = max((len(name) for name, _, _ in known), default=0) + 2
    return [(Content.assemble((name.ljust(width), "bold"), words), str(path)) for name, words, path in known]


def known_recipes() -> list[tuple[str, str, Path]]:
    """Name and what it says of itself, and its file; reads files."""
    from gemmalocal.recipe import recipe_file  # pydantic: not at the app's start

    shipped = [(name, FOR.get(name) or _words(path), path) for name, path in recipe_file.builtin_recipes().items()]
    here = [
        (path.name, _words(path) or "A recipe of this folder.", path.resolve())
        for path in sorted(Path.cwd().glob("*.y*ml"))
        if "\nmodel:" in "\n" + _text(path)
    ]
    past = [
        (folder.name, "The recipe of this run.", folder / "recipe.yaml")
        for folder in history.list_runs()[:PAST]
        if safe_read.is_file(folder / "recipe.yaml")
    ]
    return sorted(shipped, key=lambda recipe: recipe[0] != FIRST) + here + past


def _text(path: Path) -> str:
    """The beginning of a file; nothing of one that cannot be read."""
    try:
        with safe_read.regular(path) as file:
            return file.read(LONGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def _words(path: Path) -> str:
    """A recipe's first comment: for whom, and how long."""
    lines = _text(path).splitlines()
    comment = []
    for line in lines:
        if not line.startswith("#"):
            break
        if "$schema=" not in line:  # that is for editors
            comment.append(line.lstrip("# "))
    sentences = [sentence for sentence in " ".join(comment).split(". ") if "`" not in sentence]
    said = ". ".join(sentences[:SENTENCES])
    return f"{said}." if said and said[-1].isalnum() else said
