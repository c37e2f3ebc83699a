"""What a screen shows, as a text that can be read and compared: its lines, and below them their styles.

    python -m tests.tui.picture tests/tui/pictures/home.txt [80x24]

shows a kept picture in this terminal, as it was drawn.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from string import ascii_letters

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

Line = tuple[tuple[str, str], ...]  # texts with their styles
Picture = tuple[Line, ...]
PLAIN = "none"
HEAD = re.compile(r"=== (\d+x\d+)")


def taken(strips: Iterable[Strip]) -> Picture:
    """Of what a screen's compositor has rendered: the screen in front, with what is seen of those below."""
    return tuple(
        tuple((text, str(style or PLAIN)) for text, style, _ in Segment.simplify(_without_meta(strip._segments)))
        for strip in strips
    )


def _without_meta(segments: list[Segment]) -> Iterator[Segment]:
    for text, style, _ in segments:
        yield Segment(text, style and style.clear_meta_and_links())


def written(pictures: Mapping[str, Picture]) -> str:
    """Pictures by their size, one below the other, and what the letters of the styles mean."""
    letters: dict[str, str] = {}
    parts = []
    for size, picture in pictures.items():
        parts.append(f"=== {size}")
        parts += ["".join(text for text, _ in line).rstrip() for line in picture]
        parts.append("---")
        parts += [_styles(line, letters) for line in picture]
    parts.append("=== styles")
    parts += [f"{letter} {style}" for style, letter in letters.items()]
    return "\n".join(parts) + "\n"


def _styles(line: Line, letters: dict[str, str]) -> str:
    """Which style for how many characters."""
    return " ".join(f"{_letter(style, letters)}{len(text)}" for text, style in line)


def _letter(style: str, letters: dict[str, str]) -> str:
    count = len(letters)
    new = ascii_letters[count % 52] * (1 + count // 52)
    return letters.setdefault(style, new)


def read(text: str) -> dict[str, Picture]:
    """The pictures again, by their size."""
    *blocks, legend = text.removeprefix("=== ").split("\n=== ")
    styles = dict(line.split(" ", 1) for line in legend.splitlines()[1:])
    pictures = {}
    for block in blocks:
        size, _, rest = block.partition("\n")
        shown, _, looks = rest.partition("\n---\n")
        lines = zip(shown.split("\n"), looks.split("\n"), strict=True)
        pictures[size] = tuple(tuple(_read_line(line, runs, styles)) for line, runs in lines)
    return pictures


def _read_line(line: str, runs: str, styles: dict[str, str]) -> Iterator[tuple[str, str]]:
    at = 0
    for letter, count in re.findall(r"([a-zA-Z]+)(\d+)", runs):
        end = at + int(count)
        yield line[at:end].ljust(int(count)), styles[letter]
        at = end


def main() -> None:
    """Show one in this terminal."""
    pictures = read(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for size, picture in pictures.items():
        if size in sys.argv[2:] or len(sys.argv) == 2:
            print(size)
            for line in picture:
                print("".join(Style.parse(style).render(text) for text, style in line))


if __name__ == "__main__":
    main()
