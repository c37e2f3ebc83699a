"""prepare --review: rows one after another, rated by keys; and datasets: what is there, and how it was rated."""

from __future__ import annotations

import os
import re
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gemmalocal.cli.output import note, say, say_json, styled
from gemmalocal.errors import DatasetError
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.jobs.terminal_text import on_line, printable
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import dataset_rows, datasets, preparations, ratings
from gemmalocal.workspace.ratings import BAD, GOOD, SKIP, Review

KEYS = "g good   b bad   s skip   u undo   q quit"
SAID = {"g": GOOD, "b": BAD, "s": SKIP}
NextKey = Callable[[], str]
ARROW = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])")  # and its like: several bytes, of which one may be a b
UNFINISHED = re.compile(r"\x1b(?:\[[0-9;]*|O)?")
ENDS = ("q", "\x03", "\x04")  # q, ctrl+c, ctrl+d
NAME = 32  # cells at most


def review(name: str, seed: int, as_json: bool) -> None:
    """Show rows of a dataset that nothing was said of yet, keep what is said of each, and say what that tells."""
    folder = datasets.find(name)
    state = ratings.opened(folder, seed)
    if as_json:
        say_json(standing(state))
        return
    if not state.drawn:
        raise DatasetError(f"{name} has no rows to rate.", "Make it again, or accept rejected rows: gemmalocal accept.")
    with _keys() as next_key:
        _ask(folder, state, next_key)


def _ask(folder: Path, state: Review, next_key: NextKey) -> None:
    """Have rows rated until none waits or the person quits; then say what that tells, and offer a threshold."""
    try:
        state = _rated(folder, state, next_key)
    except (EOFError, KeyboardInterrupt):
        state = ratings.opened(folder)
    left = len(state.waiting)
    if left:
        note(f"{counted(left, 'row is', 'rows are')} left. The same command goes on with {plural(left, 'it', 'them')}.")
    if state.standing.rated:
        low, high = state.standing.interval
        say(f"{state.standing.sentence} (of all rows, {low:.0%} to {high:.0%} at 95 %)")
    if not left:
        _offer(folder, state, next_key)


def _rated(folder: Path, state: Review, next_key: NextKey) -> Review:
    """Ask about each row that waits, until none does or the person quits."""
    while state.waiting:
        row = state.waiting[0]
        for line in shown(row, *state.place):
            say(line)
        key = next_key()
        while key not in (*SAID, *ENDS, "u"):
            key = next_key()
        if key in ENDS:
            break
        state = ratings.undo(folder) if key == "u" else ratings.rate(folder, row, SAID[key], state.seed)
        note(f"{'taken back' if key == 'u' else SAID[key]}")
    return state


@contextmanager
def _keys() -> Iterator[NextKey]:
    """What gives the next key that is pressed, also one that was before it was asked for.

    Of input that is no terminal it is the first letter of a line. It raises `EOFError` at the end.
    """
    if not sys.stdin.isatty():
        yield lambda: _first_letter(sys.stdin.readline())
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSANOW)
    typed = ""

    def next_key() -> str:
        nonlocal typed
        while not typed or UNFINISHED.fullmatch(typed):
            text = os.read(terminal, 64).decode(errors="replace")
            if not text:
                raise EOFError
            typed = ARROW.sub("", typed + text)
        key, typed = typed[0].lower(), typed[1:]
        return key

    try:
        yield next_key
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _first_letter(line: str) -> str:
    if not line:
        raise EOFError
    return line.strip()[:1].lower()


def shown(row: dict[str, Any], number: int, total: int) -> Iterator[str]:
    """A row as it is rated: its score is not shown, so that it persuades nobody."""
    source = Path(str(row.get("source", "?"))).name
    place = " · ".join(printable(str(word)) for word in (source, row.get("heading")) if word)
    yield ""
    yield styled(f"Row {number} of {total}  {place}", bold=True)
    for turn in row.get("messages", ()):
        yield styled("Question" if turn["role"] == "user" else turn["role"].capitalize(), fg="cyan")
        yield f"  {_indented(turn['content'])}"
    if "text" in row:
        yield f"  {_indented(row['text'])}"
    if row.get("evidence") and row["evidence"] != dataset_rows.answer(row):
        yield styled("Evidence", fg="cyan")
        yield f"  {_indented(row['evidence'])}"
    yield styled(KEYS, dim=True)


def _indented(text: str) -> str:
    return "\n  ".join(printable(line) for line in text.splitlines())


def _offer(folder: Path, state: Review, next_key: NextKey) -> None:
    """Propose a threshold, and apply it if the person says so."""
    proposal = state.proposal
    if proposal is None:
        if state.judged_out or any(row.get("score") for row in state.kept.values()):
            note("These ratings propose no threshold: the judge's scores do not tell the good rows from the bad ones.")
        return
    say(proposal.sentence)
    if proposal.threshold == state.threshold:
        note("It is applied already.")
        return
    note(f"Apply {proposal.threshold}, now and when the dataset is made again? y yes   n no")
    try:
        said = next_key()
    except (EOFError, KeyboardInterrupt):
        said = "n"
    if said != "y":
        note("Nothing was changed.")
        return
    back, gone = ratings.choose(folder, proposal.threshold)
    say(f"{counted(back, 'row was', 'rows were')} taken back, and {gone} rejected.")


def standing(state: Review) -> dict[str, Any]:
    """What the ratings tell so far."""
    low, high = state.standing.interval if state.standing.rated else (0.0, 1.0)
    return {
        "drawn": state.place[1],
        "waiting": len(state.waiting),
        "rated": state.standing.rated,
        "good": state.standing.good,
        "interval": [round(low, 3), round(high, 3)],
        "proposal": state.proposal._asdict() if state.proposal else None,
        "threshold": state.threshold,
    }


@click.command(name="datasets")
@click.option("--json", "as_json", is_flag=True, help="Print each dataset as one JSON object.")
def list_datasets(as_json: bool) -> None:
    """List the datasets, the newest first."""
    summaries = [_summary(folder) for folder in preparations.list_all() if (folder / TRAIN_FILE).is_file()]
    if as_json:
        for each in summaries:
            say_json(each)
        return
    if not summaries:
        note("No datasets yet. Make one with: gemmalocal prepare FOLDER --to NAME")
    for each in summaries:
        rows = f"{each['train']:>7} {plural(each['train'], 'row')} to train on, {each['held_out']} held out"
        say(f"{on_line(each['name'], NAME):<24} {rows}  {each['rated']}".rstrip())


def _summary(folder: Path) -> dict[str, Any]:
    train, held_out = (len(datasets.read(folder / name)) for name in (TRAIN_FILE, HELD_OUT_FILE))
    return {"name": folder.name, "train": train, "held_out": held_out, "rated": ratings.sentence(folder)}


COMMANDS = (list_datasets,)
