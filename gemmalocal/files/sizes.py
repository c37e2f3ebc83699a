"""Bytes as words, the same for memory, disks and downloads: in powers of ten, as graphics cards and disks are sold.

A computer "with 16 GB" has 17.2 of these, for its makers count 2**30 bytes.
"""

from __future__ import annotations

GB = 1_000_000_000
UNITS = (("GB", GB), ("MB", 1_000_000))


def size(count: float) -> str:
    """Bytes in the unit that suits them, in three digits or so: 2.3 GB, 253 MB, 36 kB, 12 B."""
    for unit, of in UNITS:
        if count >= of:
            return f"{count / of:,.{1 if count < 100 * of else 0}f} {unit}"
    return f"{count / 1000:.0f} kB" if count >= 1000 else f"{count:.0f} B"


def gigabytes(count: float, digits: int = 1) -> str:
    """The number alone, for sums and columns of one unit, which stands after it or over it."""
    return f"{count / GB:,.{digits}f}"
