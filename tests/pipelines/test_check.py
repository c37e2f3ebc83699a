"""check's numbers, its page, and rows that a run keeps."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from gemmalocal import cli, worker
from gemmalocal.cli.check import coloured, lines
from gemmalocal.cli.output import page
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event
from gemmalocal.pipelines.shared.loading import Prepared
from gemmalocal.pipelines.shared.survey import histogram, survey
from gemmalocal.recipe import recipe_file
from tests.here import run


def checked(recipe: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.group, ["check", str(recipe), *words], standalone_mode=False)
    return done.return_value, done.stdout


def test_the_page(recipe_path: Path, rows: Path) -> None:
    with rows.open("a") as file:
        file.write('\n{"prompt": "<b>\\u001b[31m", "completion": "nan"}\nnot json\nnor this\n')
    code, printed = checked(recipe_path, "--set", "data.max_length=30")
    assert code == 0
    assert "no estimate yet: this machine has not trained anything" in printed
    assert "left out        2 rows (rows.jsonl:42, rows.jsonl:43): the row is not JSON: Expecting value" in printed
    assert "odd             1 row (rows.jsonl:41): the row has HTML in its text" in printed
    assert "longer than 30 tokens: " in printed
    assert " 0 cut" not in printed
    assert "17-32 tokens ██" in printed
    assert "\x1b[31m" not in printed  # a row must not steer the terminal
    assert "\\x1b[31m" in printed


def test_what_is_supervised_is_seen_without_colour(recipe_path: Path) -> None:
    code, printed = checked(recipe_path)
    assert code == 0
    assert "What is learned stands between ⟦ and ⟧." in printed
    assert printed.count("⟦") == printed.count("⟧") > 1
    assert "\x1b" not in printed


def test_colours_are_left_out_where_they_are_unwanted(monkeypatch: pytest.MonkeyPatch) -> None:
    report = {"problems": [], "rows": [{"source": "a:1", "pieces": [("ask\n", False), ("say", True)]}]}
    assert "⟦" not in page(lines(report))
    assert "\x1b[32m" in page(lines(report))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured()
    plain = page(lines(report, coloured()))
    assert "\x1b[32m" not in plain
    assert "⟦say⟧" in plain


def test_a_histogram_holds_every_row_once() -> None:
    assert histogram(np.array([1, 2, 3, 4, 5, 64, 65])) == [
        [1, 1, 1], [2, 2, 1], [3, 4, 2], [5, 8, 1], [9, 16, 0], [17, 32, 0], [33, 64, 1], [65, 128, 1],
    ]  # fmt: skip
    assert histogram(np.array([], np.int64)) == []


def test_only_broken_rows_are_reported_too(recipe_path: Path, rows: Path) -> None:
    rows.write_text('{"a": 1}\nno\n')
    code, report = checked(recipe_path, "--json")
    assert code == 2
    assert [kind["sources"] for kind in json.loads(report)["problems"]] == [["rows.jsonl:1"], ["rows.jsonl:2"]]


def test_a_run_keeps_its_rows_and_check_learns_its_pace(recipe_path: Path, rows: Path, workspace: Path) -> None:
    run = workspace / "runs" / "one"
    run.mkdir(parents=True)
    spec = recipe_file.load(str(recipe_path), ["data.long_rows=split"]).model_dump(mode="json")
    (run / "job.json").write_text(json.dumps({"kind": "train", "spec": spec}))
    (run / "inbox.jsonl").write_text('{"do": "stop"}\n')
    assert worker.run(run) == 0
    assert history.read(run).status == "stopped"
    content = rows.read_text()
    rows.unlink()
    (run / "inbox.jsonl").write_text("")
    assert worker.run(run) == 0
    assert history.read(run).status == "done"
    rows.write_text(content)
    _, report = checked(recipe_path, "--json")
    time = json.loads(report)["time"]
    assert time["seconds"] > 0
    assert time["why"] == "by the pace of one"


def judged_rows(path: Path) -> Path:
    """Twenty-four pairs of which three quarters have the longer answer chosen, and two of equal answers."""
    rows = [
        {
            "prompt": f"of {number}:",
            "chosen": f" and the quote {number}",
            "rejected": " the" + " and" * 9 * (number % 4 == 0),
        }
        for number in range(24)
    ]
    rows += [{"prompt": f"of {number}:", "chosen": " the same", "rejected": " the same"} for number in range(2)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_pairs_are_shown_with_both_answers(recipe_path: Path, tmp_path: Path) -> None:
    rows = judged_rows(tmp_path / "pairs.jsonl")
    done = run("check", str(recipe_path), "--set", f"data.path={rows}", "--set", "objective.kind=dpo")
    assert done.returncode == 0, done.stderr
    assert "shape preference" in done.stdout
    assert "chosen longer in 7" in done.stdout
    assert "2 pairs of equal answers, 7.7 % of all" in done.stdout
    first = done.stdout.partition("pairs.jsonl:2\n")[2]
    assert first.startswith("<bos>of 1:⟦ and the quote 1<eos>⟧\nrejected, 2 tokens (chosen 10)\n⟦ the<eos>⟧")
    done = run("check", str(recipe_path), "--set", f"data.path={rows}")
    assert "26 rows compare two answers" not in done.stdout
    assert "24 rows compare two answers: only the chosen ones are trained on, to be imitated" in done.stdout
    assert "\nrejected, " not in done.stdout


def test_rated_rows_are_shown_with_their_label(recipe_path: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rated.jsonl"
    rows.write_text(
        "\n".join(json.dumps({"prompt": f"of {n}:", "completion": " the", "label": n % 3 == 0}) for n in range(30))
    )
    done = run("check", str(recipe_path), "--set", f"data.path={rows}", "--set", "objective.kind=kto")
    assert done.returncode == 0, done.stderr
    assert "good ones of median 2 tokens" in done.stdout
    assert " (good)\n<bos>of " in done.stdout
    assert " (bad)\n<bos>of " in done.stdout


@pytest.mark.parametrize(("longer", "said"), [(24, "longer one"), (0, "shorter or as long one"), (12, "")])
def test_a_preference_for_length_is_told(recipe_path: Path, tmp_path: Path, longer: int, said: str) -> None:
    rows = [
        {
            "prompt": f"of {n}:",
            "chosen": " and the quote of it" if n < longer else " an",
            "rejected": " and the quote of it" if n >= longer else " x",
        }
        for n in range(24)
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    settings = f"data.path={tmp_path / 'p.jsonl'}", "objective.kind=dpo", "data.split=0"
    prepared = Prepared()
    report = _report(survey(recipe_file.load(str(recipe_path), settings), prepared, tmp_path / "rows"))
    assert [note for note in report["notes"] if "all that is learned" in note] == (
        [f"in 100 % of the pairs the chosen answer is the {said}: that may be all that is learned"] if said else []
    )


def _report(survey: Generator[Event, None, dict[str, Any]]) -> dict[str, Any]:
    while True:
        try:
            next(survey)
        except StopIteration as end:
            return dict(end.value)
