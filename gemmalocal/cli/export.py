"""export: a run to a folder for other programs."""

from __future__ import annotations

from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.output import page, say, say_json
from gemmalocal.cli.report_jobs import follow_for_report
from gemmalocal.files import targets
from gemmalocal.files.sizes import size
from gemmalocal.jobs import history
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.workspace import exports

FORMS = [offer.name for offer in exports.OFFERS]


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option(
    "--to",
    "form",
    type=click.Choice(FORMS),
    required=True,
    help="What to make: the adapter, a whole model, or a file for llama.cpp or Ollama.",
)
@click.option(
    "--type",
    "kind",
    type=click.Choice(list(exports.TYPES)),
    default="Q8_0",
    show_default=True,
    help="How a GGUF keeps its weights.",
)
@click.option(
    "--dtype",
    type=click.Choice(list(exports.DTYPES)),
    default="bfloat16",
    show_default=True,
    help="The numbers of merged weights.",
)
@click.option(
    "--quantize",
    type=click.Choice([str(bits) for bits in exports.BITS]),
    help="Quantize merged weights to this many bits, for MLX.",
)
@click.option(
    "--base",
    metavar="FILE",
    help="For gguf-adapter: the GGUF of the base model, or Ollama's name of it. If left out: the file that the base "
    "was imported from.",
)
@click.option("--folder", type=click.Path(file_okay=False), help="Where to. If left out: exports/ in the run's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the proof as one JSON object.")
def export(
    run: str,
    form: exports.Name,
    kind: str,
    dtype: str,
    quantize: str | None,
    base: str | None,
    folder: str | None,
    as_json: bool,
) -> int:
    """Export a run, and prove that it kept what it learned.

    RUN is its name. The export is loaded again, and its loss is measured on the run's held-out rows. If it kept less
    than 90 % of what the run gained, it is marked as failed.
    """
    chosen = exports.ExportForm(form, dtype, int(quantize) if quantize else None, kind, base)
    code, report = follow_for_report(
        exports.start(history.find_run(run), chosen, None if folder is None else targets.resolved(folder))
    )
    if report and as_json:
        say_json(report)
    elif report:
        say(page(table(report)))
    return code


def table(report: dict[str, Any]) -> list[str]:
    """The proof, to read."""
    share = "no gain to keep" if report["kept"] is None else f"{100 * report['kept']:.1f} %"
    same = sum(answer["tuned"] == answer["exported"] for answer in report["answers"])
    failed = "" if report["passed"] else ": FAILED"
    base, tuned, exported = (loss_text(report[key], 4) for key in ("base", "tuned", "exported"))
    return [
        f"{report['path']}  {size(report['bytes'])}",
        f"held-out loss   base {base}   tuned {tuned}   export {exported}",
        f"kept {share} of the gain, {100 * report['carried']:.0f} % of the shift of logits{failed}",
        f"read again: {report['reader']}",
        f"same answers {same} of {len(report['answers'])}   mean logit difference {report['logit_difference']:.2g}",
    ]


COMMANDS = (export,)
