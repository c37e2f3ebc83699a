"""A report as one HTML file: nothing is loaded, nothing runs, and what others wrote is text."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from gemmalocal.evaluation.page.content import Block, Curve, Heading, Paragraph, Table, Texts, blocks, inert

# No script, no picture, no font, no frame, from nowhere: a browser holds it, whatever stands in the text.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = """
:root { color-scheme: light dark; --line: #d0d5da; --soft: #f4f6f8; --helps: #1a7f37; --hurts: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3c4248; --soft: #22262a; --helps: #5fd07f; --hurts: #ff8a80; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; overflow-wrap: anywhere; }
.top { font-size: 1.15rem; border-left: .4rem solid var(--line); padding: .5rem 1rem; background: var(--soft); }
.helps { border-color: var(--helps); }
.hurts { border-color: var(--hurts); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: right; padding: .2rem .8rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
td, th { font-variant-numeric: tabular-nums; }
th { white-space: normal; vertical-align: bottom; }
/* Words break where they must, yet a column is as wide as its longest word: else a phone shows it letter by letter. */
th, .words td, td:first-child { overflow-wrap: break-word; max-width: 28rem; }
th:first-child, td:first-child, .words td, .words th { text-align: left; white-space: normal; }
th:first-child, td:first-child { padding-left: 0; }
.words td { overflow-wrap: anywhere; min-width: 7rem; }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 12rem), 1fr)); gap: .75rem; }
.side div { background: var(--soft); padding: .5rem .75rem; min-width: 0; }
.side b { font-size: .8rem; opacity: .75; }
pre { margin: .25rem 0 0; font: .9rem/1.4 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
svg { max-width: 100%; min-width: 30rem; height: auto; margin-top: 1rem; }
@media (max-width: 30rem) { th, td { padding: .2rem .4rem; } }
@media print {
  body { max-width: none; font-size: 11pt; padding: 0; }
  h2, h3 { break-after: avoid; }
  table, svg { break-inside: avoid; }
  .side { display: block; }
  .side div { margin-bottom: .5rem; }
  .wide { overflow: visible; }
  table.words { break-inside: auto; }
  tr { break-inside: avoid; }
  .side div, .top { background: none; border: 1px solid #999; }
}
"""


def page(figures: Mapping[str, Any], curve: str = "") -> str:
    """The whole of it; `curve` is an SVG of ours, or empty."""
    title = escape(f"Did {inert(figures['run'])} help?")
    kind = {"helps": "helps", "hurts": "hurts", "hurts and forgets": "hurts"}.get(figures["verdict"], "")
    body = "\n".join(filter(None, (_rendered(block, kind, curve) for block in blocks(figures))))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _rendered(block: Block, kind: str, curve: str) -> str:
    match block:
        case Heading(text):
            return f"<h2>{_text(text)}</h2>"
        case Paragraph(text, True):
            return f'<p class="top {kind}">{_text(text)}</p>'
        case Paragraph(text):
            return f"<p>{_text(text)}</p>"
        case Table():
            return _table(block)
        case Texts(title, texts):
            cells = "".join(f"<div><b>{_text(label)}</b><pre>{_text(text)}</pre></div>" for label, text in texts)
            return f'<h3>{_text(title)}</h3>\n<div class="side">{cells}</div>'
        case Curve():
            return f'<div class="wide">{curve}</div>' if curve else ""


def _table(table: Table) -> str:
    head = "".join(f"<th>{_text(cell)}</th>" for cell in table.head)
    rows = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    kind = ' class="words"' if table.words else ""
    return f'<div class="wide"><table{kind}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _text(text: str) -> str:
    return escape(inert(text))
