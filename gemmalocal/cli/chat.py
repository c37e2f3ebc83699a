"""chat: the base model and what was tuned from it answer side by side; a watcher of a chat job."""

from __future__ import annotations

import io
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.answer_columns import ExchangePage
from gemmalocal.cli.event_printer import EventPrinter
from gemmalocal.cli.follow import exit_code
from gemmalocal.cli.output import note, say, say_json_line
from gemmalocal.errors import USAGE
from gemmalocal.files import paths
from gemmalocal.jobs import processes
from gemmalocal.jobs.event_lines import decode
from gemmalocal.jobs.events import Asked, Cleared, Declined, Event, Failed, Finished, Replied, Report, Voted
from gemmalocal.jobs.terminal_text import visible
from gemmalocal.tool_calls.shown import written
from gemmalocal.workspace import chats, tool_table, transcript
from gemmalocal.workspace.tool_table import OpenCalls, ToolTable

POLL = 0.05  # seconds
HELP = "/again  /vote NAME|tie|bad  /clear  /system TEXT  /save  /quit; Ctrl-C stops an answer"
Answering = Callable[[dict[str, Any]], str | None]  # asks a person what a tool answers to a call; None if nothing
SETTLED: dict[str, type[Event]] = {"vote": Voted, "clear": Cleared, "save": Report}


@click.command()
@click.argument("runs", nargs=-1, shell_complete=completion.runs, metavar="[RUN[@STEP]]...")
@click.option("--prompt", "prompts", multiple=True, help="Ask this, and end. Several are one conversation.")
@click.option("--system", default="", help="A text that tells the model how to answer.")
@click.option(
    "--temperature",
    type=click.FloatRange(0, 10),
    default=0,
    show_default=True,
    help="How freely it answers. At 0 it always takes the likeliest token.",
)
@click.option(
    "--top-p",
    type=click.FloatRange(0, 1),
    default=1,
    show_default=True,
    help="Choose only among the likeliest tokens whose probabilities add up to this. At 1 it chooses among all.",
)
@click.option(
    "--top-k",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Choose only among this many of the likeliest tokens. At 0 it chooses among all.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Another number gives other answers."
)
@click.option(
    "--max-tokens", type=click.IntRange(1), default=256, show_default=True, help="The most tokens of an answer."
)
@click.option("--no-base", is_flag=True, help="Do not ask the base model.")
@click.option(
    "--tools",
    "tools_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Tools that may be called, as JSON, perhaps with answers. Nothing is run: you type other answers.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each question with all its answers as one JSON object.")
def chat(
    runs: tuple[str, ...],
    prompts: tuple[str, ...],
    system: str,
    no_base: bool,
    as_json: bool,
    tools_file: Path | None,
    **sampling: Any,
) -> int:
    """Ask the base model and the tuned one, side by side.

    RUN is a run's name, and RUN@50 its checkpoint of step 50. If you name none, the newest run with a result is
    asked. Several runs of the same base model share one copy of its weights.

    Without --prompt it asks what you type, or each line of stdin.
    """
    if any(not prompt.strip() for prompt in prompts):
        raise click.UsageError("A --prompt is empty: nothing is asked.")
    table = tool_table.load(tools_file) if tools_file else tool_table.ToolTable([])
    job = chats.start(runs, not no_base, sampling, errand=bool(prompts), tools=table.tools)
    dialogue, unread = Dialogue(job, as_json, table), 0
    try:
        if prompts:
            for prompt in prompts:
                dialogue.ask(prompt, system, _nobody)
        else:
            unread = converse(dialogue, system)
        return dialogue.end() or (USAGE if unread else 0)
    finally:
        dialogue.close()
        if prompts:
            shutil.rmtree(job.directory, ignore_errors=True)


class Dialogue:
    """A chat job, asked one command at a time; what it says is printed as it comes."""

    def __init__(self, job: processes.Job, as_json: bool, table: ToolTable) -> None:
        self._job, self._json, self._table = job, as_json, table
        self._printer, self._talk = EventPrinter(), transcript.Talk()
        self._page: ExchangePage | None = None
        self._last: Event | None = None
        self.over = False

    @property
    def names(self) -> list[str]:
        """The voices; none before they are ready."""
        return self._talk.names

    def ask(self, text: str, system: str, answering: Answering) -> None:
        """Ask, and go on as long as tools are called and there is an answer to each call."""
        self.do("ask", text=text, system=system)
        self.answer_calls(answering)

    def answer_calls(self, answering: Answering) -> None:
        """Answer what the last exchange calls: by the table, else as a person says."""
        for _ in range(tool_table.ROUNDS if self._table.tools else 0):
            if self.over or not self._talk.exchanges or not self._talk.exchanges[-1].whole:
                return
            open_calls = OpenCalls.of(self._talk.exchanges[-1], self._table)
            while (call := open_calls.next) is not None:
                if (answer := answering(call)) is None:
                    return
                open_calls.take(answer)
            if not open_calls.any:
                return
            self.do("answer", answers=open_calls.as_command)

    def do(self, command: str, **arguments: Any) -> None:
        """Leave a command and follow the job until it is done, or declined, or the job is over."""
        if self.over:
            return
        self._job.ask(do=command, **arguments)
        self._page = None
        answers = 0
        for event in self._news():
            answers += isinstance(event, Replied)
            if isinstance(event, Asked) and event.answers and not self._json:
                say(event.text)
            if isinstance(event, Declined) or (command in SETTLED and isinstance(event, SETTLED[command])):
                return
            if command not in SETTLED and answers and answers == len(self.names):
                return

    def end(self) -> int:
        """Let the job end; the exit code."""
        if not self.over:
            self._job.ask(do="end")
        for _ in self._news():
            pass
        return exit_code(self._job, self._last, False)

    def close(self) -> None:
        """Leave no job behind."""
        self._printer.close()
        self._job.kill()

    def _news(self) -> Iterator[Event]:
        """Events, printed, until the job is over. A first Ctrl-C stops the answers, a second the job."""
        interrupted = False
        while not self.over:
            try:
                alive = self._job.alive
                for line in self._job.lines():
                    event = decode(line)
                    self._tell(event)
                    yield event
                self.over = not alive
                time.sleep(POLL)
            except KeyboardInterrupt:
                if interrupted:
                    self._job.kill()
                interrupted = True
                self._job.ask(do="stop")

    def _tell(self, event: Event) -> None:
        transcript.fold(self._talk, event)
        if isinstance(event, Finished | Failed):
            self._last = event
        if isinstance(event, Declined):
            note(f"not done: {event.why}")
        elif isinstance(event, Report):
            if self._job.directory.parent != paths.errands():
                note(event.data["transcript"])
        elif not isinstance(event, Finished) or event.message:
            self._printer(event)
        exchange = self._talk.exchanges[-1] if self._talk.exchanges else None
        if exchange is None or isinstance(event, Voted | Cleared | Report | Finished):
            return
        if self._json:
            if isinstance(event, Replied) and exchange.whole:
                say_json_line(transcript.as_json(self._talk, exchange))
            return
        self._page = self._page or ExchangePage(self.names, shutil.get_terminal_size().columns, sys.stdout.isatty())
        for line in self._page.more(exchange):
            say(line)


def converse(dialogue: Dialogue, system: str) -> int:
    """Ask each line of stdin; one with a slash in front is a command. How many were no text, and were not asked."""
    typed, number, unread = sys.stdin.isatty(), 0, 0
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    if typed:
        note(HELP)
    while not dialogue.over:
        try:
            line = input("> ") if typed else sys.stdin.readline()
        except (EOFError, KeyboardInterrupt):
            return unread
        if not typed and not line:
            return unread
        number += 1
        if any("\ud800" <= mark <= "\udfff" for mark in line):
            unread += 1
            note(f"line {number} of stdin is not UTF-8 text: it was skipped")
            continue
        word, _, rest = line.strip().partition(" ")
        match word:
            case "":
                continue
            case "/quit":
                return unread
            case "/system":
                system = rest
            case "/again":
                dialogue.do("regenerate")
                dialogue.answer_calls(_typed)
            case "/clear" | "/save":
                dialogue.do(word[1:])
            case "/vote":
                if rest in dialogue.names:
                    dialogue.do("vote", voice=dialogue.names.index(rest))
                elif rest in (transcript.TIE, transcript.BOTH_BAD):
                    dialogue.do("vote", verdict=rest)
                else:
                    note(f"you can vote for: {', '.join(dialogue.names)}; or tie (all good), or bad (none)")
            case _ if word.startswith("/"):
                note(HELP)
            case _:
                dialogue.ask(line.strip(), system, _typed)
    return unread


def _nobody(call: dict[str, Any]) -> None:
    """What is called is told: there is nobody to say what it answers."""
    note(f"--tools has no answer to {written(call)}")


def _typed(call: dict[str, Any]) -> str | None:
    """What a person types, or the next line of stdin says, that a tool answers; None for nothing."""
    asked = f"{visible(written(call))} = "
    try:
        line = input(asked) if sys.stdin.isatty() else sys.stdin.readline()
    except (EOFError, KeyboardInterrupt):
        return None
    return line.strip() or None


COMMANDS = (chat,)
