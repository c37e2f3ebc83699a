"""push, login, logout and whoami: what was made here, on the Hugging Face Hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.output import page, say, say_json
from gemmalocal.cli.report_jobs import run_for_report
from gemmalocal.errors import RecipeError
from gemmalocal.files.sizes import size
from gemmalocal.jobs import history
from gemmalocal.jobs.plurals import counted
from gemmalocal.jobs.terminal_text import on_line
from gemmalocal.workspace import datasets


@click.command()
@click.argument("source", metavar="RUN|DATASET", shell_complete=completion.runs_or_files)
@click.argument("name", metavar="OWNER/NAME")
@click.option("--form", help="Which export of RUN, such as gguf-Q8_0. If left out: the adapter.")
@click.option("--dataset", "is_dataset", is_flag=True, help="Send a dataset: its name, or a folder with train.jsonl.")
@click.option("--private", is_flag=True, help="Only you can see it.")
@click.option("--dry-run", "dry", is_flag=True, help="Only list the files and their sizes. Nothing is sent.")
@click.option("--json", "as_json", is_flag=True, help="Print what was sent as one JSON object.")
def push(source: str, name: str, form: str | None, is_dataset: bool, private: bool, dry: bool, as_json: bool) -> int:
    """Send an export or a dataset to the Hugging Face Hub.

    RUN or DATASET is its name here, and OWNER/NAME there. Of a run, an export is sent whose proof passed. Its
    adapter is exported first if need be. The card and the licence are sent too. Logs, checkpoints and paths of this
    machine are not.

    If it was interrupted, the same command goes on. What the Hub has already is not sent again.
    """
    if is_dataset and form:
        raise RecipeError("--form is for a run.", "A dataset is always sent whole, with its card.")
    spec = {
        "path": str((_rows(source) if is_dataset else history.find_run(source)).absolute()),
        "kind": "dataset" if is_dataset else "model",
        "name": name,
        "form": form,
        "private": private,
        "dry": dry,
    }
    code, report = run_for_report("push", spec)
    if report and as_json:
        say_json(report)
    elif report:
        say(page(file_table(report)))
    return code


def _rows(source: str) -> Path:
    """A dataset's folder, or any other that is there."""
    folder = datasets.folder_of(source)
    return folder if folder.is_dir() else datasets.find(source)


def file_table(report: dict[str, Any]) -> list[str]:
    """What was sent, or would be, file by file, and where."""
    files = report["files"]
    names = [on_line(file["name"]) for file in files]
    width = max(map(len, names))
    lines = [f"{name:<{width}}  {size(file['bytes']):>11}" for name, file in zip(names, files, strict=True)]
    total = f"{counted(len(files), 'file')}, {size(sum(file['bytes'] for file in files))}"
    if report["dry"]:
        seen = "private" if report["private"] else "public"
        return [*lines, f"{total}. They would go to the {report['kind']} {report['repository']}, {seen} if it is new."]
    state = ("new, " if report["created"] else "") + ("private" if report["private"] else "public")
    return [*lines, f"{total}, {state}", report["url"]]


@click.command()
@click.option("--token-stdin", is_flag=True, help="Read the token from stdin.")
@click.option("--browser", is_flag=True, help="Log in on a page of the Hub. Its address and a code are shown.")
def login(token_stdin: bool, browser: bool) -> int:
    """Log in to the Hugging Face Hub.

    It asks for a token, which is not shown. It is kept where the Hub's own programs find it too. To push, the token
    must be one that may write.
    """
    if token_stdin and browser:
        raise RecipeError("--token-stdin and --browser do not go together.", "Leave one of them out.")
    if not browser:
        typed = sys.stdin.isatty() and not token_stdin
        token = click.prompt("Token (it is not shown)", hide_input=True, err=True) if typed else sys.stdin.readline()
    do = "browser" if browser else "login"
    code, report = run_for_report("account", {"do": do}, "" if browser else token.strip())
    if report:
        say(page(owner(report)))
    return code


@click.command()
def logout() -> int:
    """Forget the Hub's tokens on this machine."""
    code, _ = run_for_report("account", {"do": "logout"})
    return code


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
def whoami(as_json: bool) -> int:
    """Say whose token is here, and what it may do."""
    code, report = run_for_report("account", {"do": "whoami"})
    if report:
        say_json(report) if as_json else say(page(owner(report)))
    return code


def owner(report: dict[str, Any]) -> list[str]:
    """Whose token is here, what it may do, and where it is kept."""
    may = {"read": "may only read", "write": "may write", "fineGrained": "has chosen rights"}
    lines = [report["name"], f"token: {may.get(report['role'], 'of a login by browser')}, from {report['source']}"]
    if report["organizations"]:
        lines.append("organizations: " + ", ".join(report["organizations"]))
    return lines


COMMANDS = (push, login, logout, whoami)
