"""The papers are true: links lead somewhere, and what they tell people to type is understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from gemmalocal.cli import group
from gemmalocal.errors import RecipeError
from gemmalocal.recipe import recipe_file

ROOT = Path(__file__).parent.parent
PAPERS = sorted(
    path.relative_to(ROOT).as_posix() for place in ("*.md", "docs/*.md", "recipes/**/*.md") for path in ROOT.glob(place)
)
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")
FILE = re.compile(r"^(?:gemmalocal|tui|tests|docs|recipes)/[\w./-]*$")
COMMAND = re.compile(r"(?:^|[|&;]\s*|\s)gemmalocal(?=\s|$)")
END = re.compile(r"\s(?:&&|\|\||[|;>])\s|\s(?:\.\.\.|#)(?:\s|$)")  # of a command in a line of shell
PLACEHOLDER = re.compile(r"^[A-Z][A-Z./_-]*$")


def text_of(paper: str) -> str:
    return (ROOT / paper).read_text(encoding="utf-8")


def quoted(text: str) -> Iterator[str]:
    """What stands in code: lines that are indented or fenced, and spans within sentences."""
    fenced = "\n".join(FENCE.findall(text))
    rest = FENCE.sub("", text)
    yield from fenced.splitlines()
    yield from (line for line in rest.splitlines() if line.startswith("    "))
    prose = "\n".join(line for line in rest.splitlines() if not line.startswith("    "))
    yield from (" ".join(span.split()) for span in CODE.findall(prose))


def commands(text: str) -> Iterator[str]:
    """Command lines of ours, each from the word after `gemmalocal`, without what follows in the shell."""
    for code in quoted(text):
        for found in COMMAND.finditer(code):
            before = code[: found.end() - len("gemmalocal")].strip()
            if _runs(before):
                yield END.split(code[found.end() :] + " ", maxsplit=1)[0].strip()


def _runs(before: str) -> bool:
    """Whether what stands before our name in a line lets the shell run it: nothing, a variable, or a launcher."""
    last = re.split(r"&&|\|\||[|;]", before)[-1].strip()
    return (
        not last
        or last.startswith(("mlx.launch ", "torchrun "))
        or bool(re.fullmatch(r"(\$|\w+=\S*)( \w+=\S*)*", last))
    )


def misunderstood(line: str) -> str | None:
    """Why our command line does not understand a line; None if it does. Words in capitals stand for anything."""
    words = shlex.split(line)
    context = click.Context(group, info_name="gemmalocal")
    if not words or words[0] in ("--help", "-h", "--version") or PLACEHOLDER.match(words[0]):
        return None
    command = group.get_command(context, words[0])
    if command is None:
        return f"there is no command {words[0]}"
    inner = click.Context(command, info_name=words[0], parent=context)
    if isinstance(command, click.Group) and len(words) > 1:
        words = words[1:]
        if (command := command.get_command(inner, words[0])) is None:
            return f"there is no {words[0]}"
    if "--help" in words:
        return None
    try:
        values, over, _ = command.make_parser(inner).parse_args([*words[1:]])
    except click.UsageError as error:
        return error.format_message()
    if over:
        return f"{over} is too much"
    for option in command.params:
        given = values.get(option.name or "")
        if isinstance(option.type, click.Choice) and isinstance(given, str) and not PLACEHOLDER.match(given):
            try:
                option.type.convert(given, option, inner)
            except click.UsageError as error:
                return error.format_message()
    return _unlike_a_recipe(words[0], values)


def _unlike_a_recipe(command: str, values: Mapping[str, Any]) -> str | None:
    """What is wrong with the keys and values of `--set`, where the recipe is a shipped one."""
    if command not in ("train", "check") or values.get("recipe") not in recipe_file.builtin_recipes():
        return None
    try:
        recipe_file.load(values["recipe"], values.get("overrides") or ())
    except RecipeError as error:
        return error.message
    return None


def headings(text: str) -> set[str]:
    """The anchors of a paper's headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.strip().lower()).replace(" ", "-") for line in lines}


def test_the_readme_is_read_at_one_sitting() -> None:
    assert len(text_of("README.md").splitlines()) <= 120


@pytest.mark.parametrize("paper", PAPERS)
def test_links_lead_somewhere(paper: str) -> None:
    for link in LINK.findall(text_of(paper)):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / paper).parent / name if name else ROOT / paper
        assert target.exists(), f"{paper} links to {link}, which is not there"
        if anchor:
            assert anchor in headings(target.read_text(encoding="utf-8")), f"{paper} links to {link}: no such heading"


@pytest.mark.parametrize("paper", PAPERS)
def test_command_lines_are_understood(paper: str) -> None:
    wrong = {line: why for line in commands(text_of(paper)) if (why := misunderstood(line)) is not None}
    assert not wrong


@pytest.mark.parametrize("paper", PAPERS)
def test_files_and_modules_that_are_named_are_there(paper: str) -> None:
    named = {code for code in quoted(text_of(paper)) if FILE.match(code) and "NAME" not in code}
    modules = re.findall(r"python -m ((?:tests|benchmarks|gemmalocal)[\w.]*\w)", text_of(paper))
    named |= {
        f"{name.replace('.', '/')}{'' if (ROOT / name.replace('.', '/')).is_dir() else '.py'}" for name in modules
    }
    assert not {name for name in named if not (ROOT / name).exists()}


def test_each_room_is_on_the_map() -> None:
    rooms = {f"{path.parent.name}/" for path in ROOT.glob("gemmalocal/*/__init__.py")}
    map_of_package = (ROOT / "gemmalocal" / "__init__.py").read_text(encoding="utf-8")
    for room in rooms:
        assert f"    {room}" in map_of_package
        assert f"| `gemmalocal/{room}` |" in text_of("docs/architecture.md")
    top = {path.name for path in ROOT.glob("gemmalocal/*.py")}
    assert top == {"__init__.py", "__main__.py", "worker.py", "errors.py", "records.py"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("trane quotes", "no command"),
        ("train quotes --sett x=1", "--sett"),
        ("train quotes other", "too much"),
        ("export mine --to guff", "guff"),
        ("train quotes --set", "--set"),
        ("train quotes --set train.stepps=5", "stepps"),
    ],
)
def test_a_wrong_line_would_be_seen(line: str, why: str) -> None:
    assert why in (misunderstood(line) or "")


def test_lines_are_found_in_all_kinds_of_code() -> None:
    text = "Say `gemmalocal a` or\n\n    FOO=1 gemmalocal b && gemmalocal c  # d\n    pip install gemmalocal\n"
    text += "\n`mlx.launch -n 2 gemmalocal e\n--name X`\n\n```\ngemmalocal f | head\n```\n"
    assert sorted(commands(text)) == ["a", "b", "c", "e --name X", "f"]


def test_the_recipe_of_the_guide_is_one(tmp_path: Path) -> None:
    shown = re.search(r"^    model: .*\n(?:    .*\n)+", text_of("docs/guide.md"), re.MULTILINE)
    assert shown is not None
    (tmp_path / "hours.yaml").write_text(shown[0].replace("\n    ", "\n").lstrip(), encoding="utf-8")
    assert recipe_file.load(str(tmp_path / "hours.yaml")).train.epochs == 2
