"""Bytes become words in one place, so that one memory has one size on every screen and in every command."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemmalocal.files import sizes
from gemmalocal.files.sizes import gigabytes, size

ROOT = Path(__file__).parents[2]
UNIT = re.compile(r" ?(?:[kKMG]i?B|G)\b")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (12, "12 B"),
        (1500, "2 kB"),
        (53_600_000, "53.6 MB"),
        (253_000_000, "253 MB"),
        (2_310_000_000, "2.3 GB"),
        (2**34, "17.2 GB"),
        (1_234_000_000_000, "1,234 GB"),
    ],
)
def test_a_size_has_the_unit_that_suits_it(count: int, words: str) -> None:
    assert size(count) == words


def test_sums_share_a_unit() -> None:
    assert f"{gigabytes(536_000_000, 2)} of {gigabytes(25_300_000_000, 0)} GB" == "0.54 of 25 GB"


def counted_here(file: Path) -> Iterator[int]:
    """Lines on which a number is divided, or written by digits, before a unit of bytes; powers of two are limits."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        for part, after in zip(node.values, node.values[1:], strict=False):
            match part, after:
                case ast.FormattedValue(value=value, format_spec=spec), ast.Constant(value=str(words)):
                    told = isinstance(value, ast.Call) and ast.unparse(value.func) == "gigabytes"
                    digits = spec is not None and "f" in ast.unparse(spec).partition("'")[2]
                    divides = isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div | ast.FloorDiv)
                    if UNIT.match(words) and not told and (digits or divides):
                        yield node.lineno


def test_bytes_become_words_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text('f"{x / 2**30:.0f} GB"\nf"{y[0]:.1f} GB free"\nf"{gigabytes(z)} GB"\n')
    assert list(counted_here(tmp_path / "own.py")) == [1, 2]
    files = {*ROOT.glob("gemmalocal/**/*.py"), *ROOT.glob("tui/**/*.py")} - {Path(sizes.__file__)}
    assert not [f"{file}:{line}" for file in files for line in counted_here(file)]
