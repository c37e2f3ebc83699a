"""export: a run to a folder for other programs."""

from __future__ import annotations

from typing import Any

import click

from gemmalocal import exports, history, targets
from gemmalocal.cli import errands
from gemmalocal.cli.say import page, say, say_json

FORMS = [offer.name for offer in exports.OFFERS]


@click.command()
@click.argument("run")
@click.option("--to", "form", type=click.Choice(FORMS), required=True, help="What to make.")
@click.option(
    "--type", "kind", type=click.Choice(list(exports.TYPES)), default="Q8_0", show_default=True, help="Of a GGUF."
)
@click.option(
    "--dtype",
    type=click.Choice(list(exports.DTYPES)),
    default="bfloat16",
    show_default=True,
    help="Of merged weights.",
)
@click.option(
    "--quantize", type=click.Choice([str(bits) for bits in exports.BITS]), help="Quantize merged weights, for MLX."
)
@click.option("--folder", type=click.Path(file_okay=False), help="Where to; exports/ of the run if not given.")
@click.option("--json", "as_json", is_flag=True, help="The proof as one JSON object.")
def export(
    run: str, form: exports.Name, kind: str, dtype: str, quantize: str | None, folder: str | None, as_json: bool
) -> int:
    """Take RUN away, with the proof that the export kept the tune.

    The export is loaded again and asked for the loss on the run's held-out rows. One that kept less than 90 % of the
    gain is marked as failed.
    """
    chosen = exports.Form(form, dtype, int(quantize) if quantize else None, kind)
    code, report = errands.report(
        exports.start(history.find_run(run), chosen, None if folder is None else targets.place(folder))
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
    return [
        f"{report['path']}  {report['bytes'] / 1e6:.0f} MB",
        f"held-out loss   base {report['base']:.4f}   tuned {report['tuned']:.4f}   export {report['exported']:.4f}",
        f"kept {share} of the gain, {100 * report['carried']:.0f} % of the shift of logits{failed}",
        f"read again: {report['reader']}",
        f"same answers {same} of {len(report['answers'])}   mean logit difference {report['logit_difference']:.2g}",
    ]
