"""The help: every command and option has its sentences, whole, in 80 columns; and it imports no command."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete

from gemmalocal.cli import group
from gemmalocal.cli.command_groups import GROUPS, MODULES
from tests.test_house import ROOT, loaded_by

WIDTH = 80
LONGEST = 30  # words of a sentence that a friend can follow when it is read aloud
HEADS = [f"{title}:" for title in GROUPS]


def command(name: str) -> click.Command:
    """The command of a name; the whole group for none."""
    context = click.Context(group)
    found = group.get_command(context, name) if name else group
    assert found is not None
    return found


def page(name: str) -> str:
    """What `gemmalocal NAME --help` prints in a terminal of 80 columns or more."""
    context = click.Context(group, info_name="gemmalocal", terminal_width=WIDTH)
    return command(name).get_help(
        click.Context(command(name), context, name, terminal_width=WIDTH) if name else context
    )


def options(name: str) -> Iterator[tuple[str, str]]:
    """Options of a command, with their helps."""
    for parameter in command(name).params:
        if isinstance(parameter, click.Option):
            yield parameter.opts[0], parameter.help or ""


@pytest.mark.parametrize("name", ["", *MODULES])
def test_the_help_of_a_command_is_whole_and_narrow(name: str) -> None:
    lines = page(name).splitlines()
    assert len(lines) > 4
    assert max(map(len, lines)) <= WIDTH
    assert not [line for line in lines if re.search(r"(\.\.\.|…)$", line) and not line.startswith("Usage:")]


@pytest.mark.parametrize("name", MODULES)
def test_every_option_has_a_help_of_short_sentences(name: str) -> None:
    texts = dict(options(name))
    assert not [option for option, text in texts.items() if not re.fullmatch(r"[A-Z][^…]*[^.]\.", text, re.DOTALL)]
    about = command(name).help or ""
    for text in (*texts.values(), *cleandoc(about).split("\n\n")):
        for sentence in re.split(r"(?<=[.:])\s", text):
            assert len(sentence.split()) <= LONGEST, sentence


@pytest.mark.parametrize("name", ["", *MODULES])
def test_every_argument_is_explained(name: str) -> None:
    about = command(name).help or ""
    for parameter in command(name).params:
        if isinstance(parameter, click.Argument):
            word = re.split(r"[\[@.|]", parameter.make_metavar(click.Context(command(name))).strip("[]"))[0]
            assert re.search(rf"\b{word}\b", about), f"{name}: {word}"


def test_the_commands_stand_in_groups_with_the_first_sentence_of_their_own_help() -> None:
    text = page("")
    assert [line for line in text.splitlines() if line in HEADS] == HEADS
    for commands in GROUPS.values():
        for name, (_, sentence) in commands.items():
            assert f"\n  {name:<9} {sentence}\n" in text
            assert cleandoc(command(name).help or "").partition("\n")[0] == sentence


def test_every_command_that_a_module_has_is_in_a_group() -> None:
    modules = {sys.modules[f"gemmalocal.cli.{module}"] for name, module in MODULES.items() if command(name)}
    assert {one.name for module in modules for one in module.COMMANDS} == set(MODULES)


def test_the_help_imports_no_command() -> None:
    imported = loaded_by("from gemmalocal.cli import group\ngroup.main(['--help'], standalone_mode=False)")
    assert not imported & {"psutil", "textual", "pydantic", "numpy", "ruamel"}


@pytest.mark.parametrize(("typed", "offered"), [("gemmalocal re", "resume"), ("gemmalocal train --det", "--detach")])
def test_the_shell_completes(typed: str, offered: str) -> None:
    words = typed.split()
    asked = {"_GEMMALOCAL_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "tui"], env=asked, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert f"plain,{offered}" in done.stdout.splitlines(), done.stderr


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BashComplete:
    """Completion in a workspace with two runs, a dataset, and a folder that is none."""
    monkeypatch.setenv("GEMMALOCAL_HOME", str(tmp_path))
    for run in ("quotes-1", "poems-1"):
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / "job.json").write_text("{}", encoding="utf-8")
    (tmp_path / "datasets" / "manual").mkdir(parents=True)
    (tmp_path / "datasets" / "manual" / "train.jsonl").touch()
    (tmp_path / "datasets" / "manual-to-be").mkdir()
    return BashComplete(group, {}, "gemmalocal", "_GEMMALOCAL_COMPLETE")


@pytest.mark.parametrize(
    ("words", "typed", "names"),
    [
        (["watch"], "", {"quotes-1", "poems-1"}),
        (["watch"], "q", {"quotes-1"}),
        (["watch"], "x", set()),
        (["chat", "quotes-1"], "p", {"poems-1"}),
        (["export"], "p", {"poems-1"}),
        (["train"], "quo", {"quotes"}),
        (["accept"], "man", {"manual"}),
        (["push"], "quo", {"quotes-1"}),
    ],
)
def test_the_shell_completes_the_names_of_the_workspace(
    offered: BashComplete, words: list[str], typed: str, names: set[str]
) -> None:
    items = offered.get_completions(words, typed)
    assert {item.value for item in items} == names
    assert {item.type for item in items} <= {"plain"}


@pytest.mark.parametrize("words", [["train"], ["check"], ["import"], ["prepare"], ["convert"], ["bench", "--rows"]])
def test_the_shell_completes_files_where_no_name_fits(offered: BashComplete, words: list[str]) -> None:
    assert [item.type for item in offered.get_completions(words, "./mine")] == ["file"]


def test_a_damaged_workspace_completes_to_nothing(
    offered: BashComplete, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GEMMALOCAL_HOME", str(tmp_path / "file" / "below"))
    assert not offered.get_completions(["watch"], "")
    assert [item.type for item in offered.get_completions(["accept"], "")] == ["file"]
