"""Write every page that the code gives: `make docs`."""

from __future__ import annotations

from pathlib import Path

from docs.generate import PAGES

for name, page in PAGES.items():
    (Path(__file__).parent.parent / name).write_text(page(), encoding="utf-8")
