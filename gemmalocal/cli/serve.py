"""serve: what a run made, for programs that speak OpenAI's protocol."""

from __future__ import annotations

import json
import shutil
import signal
from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.event_printer import EventPrinter
from gemmalocal.cli.follow import follow
from gemmalocal.cli.output import page, say, say_json
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.events import Event, Report


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option(
    "--form", help="An export of RUN, such as gguf or merged-4bit. If left out: the base model with the run's adapter."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen at. The default can be reached from this machine only.",
)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65_535), help="The port to listen at.")
@click.option("--json", "as_json", is_flag=True, help="Print the address as one JSON object, once it answers.")
def serve(run: str, form: str | None, host: str, port: int, as_json: bool) -> int:
    """Let other programs ask the model that a run made.

    RUN is its name. The programs must speak OpenAI's protocol. It ends at Ctrl-C.

    The engine is mlx-lm's. A GGUF needs llama.cpp's (pip install xllamacpp), which takes one request at a time, of
    at most 8192 tokens.

    Whatever model a request names, RUN answers. If the request does not say otherwise, the answer is greedy and has
    at most 1024 tokens. Requests that the protocol does not know are refused. So are those of web pages from other
    machines.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is how this ends, in a script's background too
    spec = {"run": str(history.find_run(run).absolute()), "form": form, "host": host, "port": port}
    job = processes.errand("serve", spec)
    printer = EventPrinter()

    def tell(event: Event) -> None:
        if isinstance(event, Report):
            printer.close()
            say_json(event.data) if as_json else say(page(how_to_ask(event.data)))
        else:
            printer(event)

    try:
        return follow(job, tell, ending="Ending the server; Ctrl-C again to force it.")
    finally:
        printer.close()
        shutil.rmtree(job.directory, ignore_errors=True)


def how_to_ask(data: dict[str, Any]) -> list[str]:
    """The address of a server, and a command that asks it."""
    body: dict[str, Any] = {"model": data["model"]}
    body |= {"messages": [{"role": "user", "content": "Hello"}]} if data["chat"] else {"prompt": "Quote:"}
    path = "chat/completions" if data["chat"] else "completions"
    lines = [data["url"], f"curl {data['url']}/{path} -H 'Content-Type: application/json' -d '{json.dumps(body)}'"]
    return (
        lines
        if data["chat"]
        else [*lines, "(a base model without a chat template: chat/completions ask as the run's rows do)"]
    )


COMMANDS = (serve,)
