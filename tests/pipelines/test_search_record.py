"""What a search comes to, by what is written of it: who goes on, who wins, by how much, and what is told."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from gemmalocal.engine.halving import Rung
from gemmalocal.errors import GemmalocalError
from gemmalocal.pipelines.shared import search_record
from gemmalocal.pipelines.shared.search_record import Result, SearchRecord
from gemmalocal.recipe.search import ROWS
from gemmalocal.recipe.search_keys import RATE

TOKENS = [4, 5, 6, 5, 4, 6, 5, 5]


def result(rung: int, trial: int, loss: float, noise: float = 0.0) -> Result:
    """Each row's nats lie around the loss, by turns above and below."""
    nats = [count * (loss + noise * (-1) ** row) for row, count in enumerate(TOKENS)] if math.isfinite(loss) else []
    return Result(rung, trial, loss, nats, 1.0)


def record(*results: Result, trials: int = 4) -> SearchRecord:
    rates = [{RATE: 1e-4 * 2**number} for number in range(trials)]
    return SearchRecord(rates, [Rung(4, 8), Rung(2, 16)], list(results), TOKENS)


def test_the_better_half_goes_on_and_the_best_of_the_last_rung_wins() -> None:
    first = [result(0, 0, 2.5), result(0, 1, 2.2), result(0, 2, 2.1), result(0, 3, math.inf)]
    half = record(*first)
    assert (half.contestants(0), half.contestants(1), half.ended) == ([0, 1, 2, 3], [1, 2], False)
    assert half.winner == 2
    whole = record(*first, result(1, 1, 1.9, 0.5), result(1, 2, 2.0))
    assert (whole.ended, whole.winner) == (True, 1)
    behind = whole.differences()
    assert behind[0][0] == 0  # the last rung that both were in
    assert behind[0][1] is not None
    assert behind[0][1].value == pytest.approx(0.3)
    assert behind[3][1] is None
    assert "the search chose learning_rate 0.0002; on these rows it cannot be told from learning_rate 0.0004" in (
        whole.sentence()
    )
    assert "| learning_rate 0.0008 | diverged |  |  |" in whole.table()


def test_where_all_diverge_the_recipe_stays() -> None:
    none = record(*(result(0, trial, math.inf) for trial in range(4)))
    assert (none.contestants(1), none.ended, none.winner) == ([], True, None)
    assert none.sentence() == "all trials diverged: the recipe is trained as it is"


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ([2.6, 2.4, 2.2], "more rows would help: each doubling took 0.2000 nats a token off the loss (95 %: 0.2000"),
        ([2.2, 2.3, 2.4], "more rows would make it worse"),
        ([math.inf, 2.4, 2.2], "whether more rows would help is not known"),
    ],
)
def test_a_learning_curve_is_a_slope_with_an_interval(losses: list[float], says: str) -> None:
    shares = [{ROWS: share} for share in (0.25, 0.5, 1.0)]
    results = [result(0, trial, loss) for trial, loss in enumerate(losses)]
    curve = SearchRecord(shares, [Rung(3, 8)], results, TOKENS)
    assert curve.sentence().startswith(says)
    noisy = SearchRecord(shares, [Rung(3, 8)], [result(0, 0, 2.3, 0.9), *results[1:]], TOKENS)
    assert math.isinf(losses[0]) or "more rows may not help" in noisy.sentence()


def test_a_search_of_an_older_version_that_knew_no_rows_goes_on(tmp_path: Path) -> None:
    """It was killed after its first trial; those that follow are measured row by row."""
    old = SearchRecord([{"objective.beta": beta} for beta in (0.1, 0.5, 1.0)], [Rung(3, 8)], [Result(0, 0, 0.7, [], 1)])
    old.save(tmp_path)
    record = search_record.read(tmp_path)
    record.results += [result(0, 1, 0.6), result(0, 2, 0.5)]
    assert (record.judges, record.winner) == ("token", 2)
    assert [row["behind"] for row in record.rows()] == [None, None, None]


def test_it_is_read_as_it_was_written_and_damage_is_told(tmp_path: Path) -> None:
    whole = record(result(0, 0, 2.5), result(0, 3, math.inf))
    whole.save(tmp_path)
    assert search_record.read(tmp_path) == whole
    assert json.loads((tmp_path / "search.json").read_text())["results"][1]["loss"] is None
    (tmp_path / "search.json").write_text("{")
    with pytest.raises(GemmalocalError, match="is damaged"):
        search_record.read(tmp_path)
    assert search_record.read(tmp_path / "none") == SearchRecord()
