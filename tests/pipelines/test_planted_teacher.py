"""A teacher that has seen many rows helps a student of few; `benchmarks.planted_teacher` has five seeds of more."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import planted_teacher
from benchmarks.planted_teacher import Sizes, compare


def test_a_student_of_few_rows_is_nearer_to_its_teacher_and_more_often_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planted_teacher, "LENGTH", 16)
    came = compare(tmp_path, 0, Sizes(few=40, many=400, steps=40, teacher_steps=60, batch=8))
    assert came["taught"]["kl"] < 0.95 * came["plain"]["kl"]
    assert came["taught"]["right"] > came["plain"]["right"]
