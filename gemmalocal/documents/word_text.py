"""What a paragraph of Word shows: its words, marks, symbols and formulas, and not what is deleted, moved or hidden."""

from __future__ import annotations

from typing import Any, NamedTuple

from gemmalocal.documents import formulas, marks, symbols
from gemmalocal.documents.counters import numeral
from gemmalocal.documents.document import Hidden
from gemmalocal.documents.word_numbers import HOPS, Numbers, W, value_of

COMPATIBLE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
PLAIN = {f"{W}tab": "\t", f"{W}ptab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
ELSEWHERE = frozenset(  # not part of the line, or no longer
    (
        *(f"{W}{name}" for name in ("pPr", "rPr", "txbxContent", "rt", "del", "moveFrom", "delText", "instrText")),
        f"{COMPATIBLE}Fallback",
    )
)
FORMULAS = (f"{formulas.M}oMath", f"{formulas.M}oMathPara")
NOTES = {f"{W}footnoteReference": "Footnotes", f"{W}endnoteReference": "Endnotes"}
OFF = ("0", "false", "off")
WHITE = "FFFFFF"


class RunStyle(NamedTuple):
    """How a run looks, as far as its text depends on it."""

    hidden: bool
    script: str  # "superscript", "subscript" or ""
    font: str


class Words:
    """Reads paragraphs in their order: notes and lists are counted, and so is what is hidden."""

    def __init__(self, word: Any) -> None:
        self.numbers = Numbers(word)
        self.notes: dict[str, dict[str, str]] = {"Footnotes": {}, "Endnotes": {}}  # their marks, by kind and id
        self._styles = {style.get(f"{W}styleId"): style for style in word.styles.element.iter(f"{W}style")}
        self._vanish: dict[str, bool] = {}  # by style
        self._pieces = self._characters = 0
        self._colored = next(word.element.iter(f"{W}background"), None) is not None

    @property
    def hidden(self) -> Hidden:
        """What was left out so far."""
        return Hidden(self._pieces, self._characters)

    def of(self, paragraph: Any) -> str:
        """What a paragraph shows: insertions count, deletions do not, text boxes are blocks of their own."""
        text, pending, script = "", "", ""
        style = value_of(paragraph.find(f"{W}pPr"), "pStyle")
        todo: list[tuple[Any, RunStyle | None]] = [(paragraph, None)]
        while todo:
            node, look = todo.pop()
            if node.tag in ELSEWHERE or not isinstance(node.tag, str):
                continue
            if node.tag == f"{W}r":
                look = self._look(node, style)
            elif node.tag in FORMULAS:
                text, pending, script = _closed(text, pending, script) + formulas.of_omml(node), "", ""
                continue
            piece = self._piece(node, look)
            if piece is None:
                todo.extend((child, look) for child in reversed(node))
            elif look is not None and look.hidden:
                self._leave_out(piece)
            elif look is not None and look.script and node.tag in (f"{W}t", f"{W}sym"):
                if look.script != script:
                    text, pending, script = _closed(text, pending, script), "", look.script
                pending += piece
            else:
                text, pending, script = _closed(text, pending, script) + piece, "", ""
        return _closed(text, pending, script)

    def _piece(self, node: Any, look: RunStyle | None) -> str | None:
        """The text of an element of a run; None of one that only holds others."""
        if node.tag == f"{W}t":
            text = node.text or ""
            return (
                symbols.shown(text, look.font) if look and (symbols.is_symbolic(look.font) or _private(text)) else text
            )
        if node.tag in PLAIN:
            return PLAIN[node.tag]
        if node.tag == f"{W}sym":
            code = int(node.get(f"{W}char", "0"), 16)
            return symbols.shown(chr(code), node.get(f"{W}font", ""))
        if node.tag in NOTES:
            return self._note(NOTES[node.tag], node)
        if node.tag == f"{W}checkBox":
            ticked = node.find(f"{W}checked")
            ticked = node.find(f"{W}default") if ticked is None else ticked
            return "[x]" if _is_on(ticked) else "[ ]"
        return None

    def _note(self, kind: str, reference: Any) -> str:
        if reference.get(f"{W}customMarkFollows", "0") not in OFF:
            return ""
        note_marks = self.notes[kind]
        mark = numeral(len(note_marks) + 1, "1" if kind == "Footnotes" else "i")
        return f"[{note_marks.setdefault(reference.get(f'{W}id', ''), mark)}]"

    def _look(self, run: Any, style: str) -> RunStyle:
        own = run.find(f"{W}rPr")
        if own is None:
            return RunStyle(self._vanishes(style), "", "")
        vanish = own.find(f"{W}vanish")
        if vanish is None:
            hidden = self._vanishes(value_of(own, "rStyle")) or self._vanishes(style) or self._is_white(run, own)
        else:
            hidden = _is_on(vanish)
        fonts = own.find(f"{W}rFonts")
        font = "" if fonts is None else str(fonts.get(f"{W}ascii") or fonts.get(f"{W}hAnsi") or "")
        script = value_of(own, "vertAlign")
        return RunStyle(hidden, "" if script == "baseline" else script, font)

    def _vanishes(self, style: str) -> bool:
        """Does a style, or one that it is based on, hide its text?"""
        if style not in self._vanish:
            node, vanish = self._styles.get(style), None
            for _ in range(HOPS):
                if node is None or vanish is not None:
                    break
                vanish = node.find(f"{W}rPr/{W}vanish")
                node = self._styles.get(value_of(node, "basedOn"))
            self._vanish[style] = vanish is not None and _is_on(vanish)
        return self._vanish[style]

    def _is_white(self, run: Any, own: Any) -> bool:
        """White on nothing that has a color: no shade, no table, no box."""
        if value_of(own, "color").upper() != WHITE or self._colored or own.find(f"{W}highlight") is not None:
            return False
        for above in run.iterancestors():
            if above.tag in (f"{W}tbl", f"{W}txbxContent"):
                return False
        shades = [own, *(above.find(f"{W}pPr") for above in run.iterancestors(f"{W}p"))]
        fills = [
            node.get(f"{W}fill", "auto")
            for properties in shades
            if properties is not None
            for node in properties.iterfind(f"{W}shd")
        ]
        return all(fill.upper() in (WHITE, "AUTO") for fill in fills)

    def _leave_out(self, piece: str) -> None:
        if piece.strip():
            self._pieces += 1
            self._characters += len(piece)


def _closed(text: str, pending: str, script: str) -> str:
    """A line with the superscript or subscript that has come to its end."""
    if not pending:
        return text
    if not pending.strip():
        return text + pending
    return text + (marks.raised if script == "superscript" else marks.lowered)(text, pending)


def _private(text: str) -> bool:
    return not text.isascii() and any(symbols.PRIVATE <= ord(letter) <= symbols.PRIVATE + 0xFF for letter in text)


def _is_on(toggle: Any) -> bool:
    return toggle is not None and toggle.get(f"{W}val", "1") not in OFF
