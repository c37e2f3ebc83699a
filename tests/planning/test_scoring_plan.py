"""What a teacher's reading takes, told before it begins; and what a person reads of a run with one."""

from __future__ import annotations

import json

import pytest

from gemmalocal.files import paths
from gemmalocal.jobs import judged
from gemmalocal.planning import expected, memory, model_sizes, preview, scoring_plan
from gemmalocal.planning.scoring_plan import ScoringPlan
from gemmalocal.recipe import recipe_file
from tui.series import series_of

TEACHER = model_sizes.PUBLISHED_SIZES["google/gemma-3-4b-it"]


def test_a_quantized_teacher_takes_less_and_one_that_is_too_large_is_told() -> None:
    recipe = recipe_file.load("teach")
    peaks = [scoring_plan.peak(TEACHER, recipe, 2, 2, bits, memory.MLX_ON_GPU_PATH) for bits in (None, 8, 4)]
    assert peaks == sorted(peaks, reverse=True)
    assert 7.7e9 < peaks[0] < 10e9  # its weights, and not much more
    fits, large = (ScoringPlan(10, 2000, 500, 97_000, 10**9, peak, 5 * 10**9, 90.0) for peak in (peaks[2], peaks[0]))
    assert fits.fits
    assert "10 rows of 2,000 tokens once: about 2 min" in fits.sentence("big")
    assert not large.fits
    assert "teacher.quantize to 4bit" in large.sentence("big")


def test_the_pace_of_the_newest_reading_tells_the_time() -> None:
    assert scoring_plan.seconds("mlx", 1e12) is None
    for number, (seconds, at) in enumerate(((10.0, 5.0), (20.0, 9.0), (1.0, 1.0))):
        folder = paths.teachers() / str(number)
        folder.mkdir(parents=True)
        about = {"engine": "mlx", "operations": 1e12, "seconds": seconds, "at": at}
        (folder / "about.json").write_text(json.dumps(about))
    (paths.teachers() / "0" / "about.json").write_text("torn")
    assert scoring_plan.seconds("mlx", 3e12) == pytest.approx(60)
    assert scoring_plan.seconds("torch", 3e12) is None


def test_the_form_tells_what_the_teacher_takes_and_whether_it_is_there() -> None:
    recipe = recipe_file.load("teach")
    assert 2e9 < (preview.outlook(recipe).teacher or 0) < 8e9
    assert preview.outlook(recipe_file.load("quotes")).teacher is None
    itself = recipe_file.load("teach", ["teacher.model=self"])
    assert preview.outlook(itself).teacher
    assert "teacher.model" not in expected.problems(itself)
    nobody = recipe_file.load("teach", ["teacher.model=nobody"])
    assert "no run of that name" in expected.problems(nobody)["teacher.model"]
    assert any("gemma-3-4b-it will be downloaded" in line for line in expected.downloads(recipe))


def test_figures_beside_a_teacher_are_told_and_drawn() -> None:
    figures = {"kl": 0.1312, "agreement": 0.842, "cross_entropy": 2.31}
    assert judged.sentence(figures) == "84 % as its teacher, KL 0.131, rows 2.31"
    assert judged.sentence({"kl": 0.5, "agreement": 1.0}) == "100 % as its teacher, KL 0.500"
    names = [series.name for series in series_of({"objective": {"kind": "distill"}})]
    assert names[:4] == ["loss", "KL", "as teacher", "rows"]
