"""A teacher that has seen many rows helps a student of few."""

from __future__ import annotations

from pathlib import Path

from benchmarks.planted_teacher import compare


def test_a_student_of_few_rows_is_nearer_to_its_teacher_and_more_often_right(tmp_path: Path) -> None:
    came = compare(tmp_path, seed=0, steps=200, teacher_steps=200, many=1500)
    assert came["taught"]["kl"] < came["plain"]["kl"]
    assert came["taught"]["right"] > came["plain"]["right"]
