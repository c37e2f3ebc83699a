"""Letters of Office's symbol fonts as Unicode has them."""

from __future__ import annotations

SYMBOL = dict(  # of the font Symbol, by code
    enumerate(
        " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼", start=0x20
    )
) | dict(
    enumerate(
        "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪\uf8ff〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
        start=0xA0,
    )
)
WINGDINGS = dict(
    zip(
        bytes.fromhex("22 28 2a 4a 4c 6c 6e 6f 70 71 72 74 75 76 9f a1 a7 a8 d8 dfe0 e1 e2 e8 ef f0 f3 fb fc fd fe"),
        "✂☎✉☺☹●■□□□□◆◆❖•○▪☐➢←→↑↓➔⇦⇨⇔✗✓☒☑",
        strict=True,
    )
)
WINGDINGS_2 = {0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0xA3: "☐"}
FONTS = {"symbol": SYMBOL, "wingdings": WINGDINGS, "wingdings 2": WINGDINGS_2}
PRIVATE = 0xF000  # from where on the codes of these fonts are kept in text


def is_symbolic(font: str) -> bool:
    """Whether a font draws other characters than the text says."""
    return font.lower() in FONTS


def shown(text: str, font: str) -> str:
    """What a symbol font draws for a text; of a code that is not known, nothing."""
    return "".join(_character(ord(letter), FONTS.get(font.lower())) for letter in text)


def _character(code: int, letters: dict[int, str] | None) -> str:
    if not PRIVATE <= code <= PRIVATE + 0xFF:
        return chr(code) if letters is None else letters.get(code, chr(code))
    return (SYMBOL if letters is None else letters).get(code - PRIVATE, "")
