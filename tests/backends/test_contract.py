"""What every trainer promises, asked of all of them: the toy, MLX and torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from gemmalocal.backends import BACKENDS, open_backend, peft_adapter
from gemmalocal.backends.mlx import compute_path
from gemmalocal.backends.protocol import Trainer, Update
from gemmalocal.data.batches import BatchShape, MicroBatch, plan, rounds
from gemmalocal.errors import ModelError
from gemmalocal.planning.device_memory import MLX_PATH
from gemmalocal.recipe import recipe_file
from tests.backends.truth import some_rows
from tests.engine.toy import Toy

Make = Callable[..., Trainer]
PARTS = plan(some_rows(), BatchShape(8, 8, 64))


GPU_PATH = "mlx, GPU path"


@pytest.fixture(params=["toy", *BACKENDS, GPU_PATH])
def make(request: pytest.FixtureRequest, tiny: Path, recipe_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Gives a new trainer, with dropout unless overridden; each is like the one before."""

    backend = request.param.partition(",")[0]
    if request.param == GPU_PATH:
        monkeypatch.setenv(MLX_PATH, compute_path.GPU.name)

    def trainer(*overrides: str) -> Trainer:
        if request.param == "toy":
            return Toy(noise=0.0 if "lora.dropout=0" in overrides else 0.3)
        recipe = recipe_file.load(str(recipe_path), list(overrides))
        return open_backend(backend).trainer(tiny, recipe)

    return trainer


def feed(made: Trainer, parts: Sequence[MicroBatch] = PARTS) -> None:
    for several in rounds(parts, made.shapes.streams):
        made.accumulate(several)


def losses(made: Trainer, steps: int, rate: float = 3e-3) -> list[Update]:
    found = []
    for _ in range(steps):
        feed(made)
        found.append(made.apply(rate))
    return found


def judged(made: Trainer) -> float:
    """The summed loss of all rows."""
    return sum(made.evaluate(several)[0] for several in rounds(PARTS, made.shapes.streams))


def saved(made: Trainer, folder: Path) -> dict[str, Any]:
    """What `save` writes, by file: arrays by their names, or text."""
    folder.mkdir()
    made.save(folder)
    return {path.name: arrays(path) or path.read_text() for path in folder.iterdir()}


def arrays(path: Path) -> dict[str, bytes]:
    """Of a safetensors file; nothing for another one, as all of the toy's are."""
    try:
        return {name: value.tobytes() for name, value in load_file(path).items()}
    except SafetensorError:
        return {}


def test_it_learns(make: Make) -> None:
    made = make()
    before = judged(made)
    first, *_, last = losses(made, 8)
    assert last[0] < first[0]
    assert judged(made) < before
    assert first[1] == sum(part.supervised for part in PARTS)


def test_the_order_of_micro_batches_changes_nothing(make: Make) -> None:
    found = []
    for parts in (PARTS, PARTS[::-1]):
        made = make("lora.dropout=0")
        feed(made, parts)
        found.append((*made.apply(3e-3), judged(made)))
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_evaluating_and_answering_leave_no_trace(make: Make) -> None:
    quiet, curious = make(), make()
    for made in (quiet, curious):
        losses(made, 1)
    assert judged(curious) == judged(curious)
    list(curious.stream([2, 70, 71], 4, set()))
    assert losses(quiet, 2) == losses(curious, 2)


def test_a_restored_trainer_goes_on_bit_for_bit_with_dropout(make: Make, tmp_path: Path) -> None:
    made = make()
    losses(made, 3)
    files = saved(made, tmp_path / "one")
    assert {peft_adapter.WEIGHTS, peft_adapter.CONFIG} <= set(files)
    again = make()
    again.restore(tmp_path / "one")
    assert saved(again, tmp_path / "two") == files
    assert losses(again, 3) == losses(made, 3)


CHANGES = ["lora.rank=2", "lora.alpha=4", "train.seed=7", "train.weight_decay=0.1"]


def test_a_renewed_trainer_is_like_one_just_opened(make: Make, tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    recipe = recipe_file.load(str(recipe_path), CHANGES)
    fresh, renewed = make(*CHANGES), make()
    losses(renewed, 2)
    feed(renewed)  # forgotten
    assert renewed.renew(recipe)
    assert losses(renewed, 3) == losses(fresh, 3)
    for name, made in (("fresh", fresh), ("renewed", renewed)):
        (tmp_path / name).mkdir()
        made.save(tmp_path / name)
    for file in (tmp_path / "fresh").iterdir():
        assert (tmp_path / "renewed" / file.name).read_bytes() == file.read_bytes()


def test_another_place_wants_another_trainer(make: Make, recipe_path: Path) -> None:
    made = make()
    if isinstance(made, Toy):
        return
    for change in ("lora.layers=1", "lora.target_modules=[q_proj]", "lora.dropout=0", "method=dora"):
        assert not made.renew(recipe_file.load(str(recipe_path), [change]))


def test_restoring_forgets_what_was_accumulated(make: Make, tmp_path: Path) -> None:
    made = make("lora.dropout=0")
    saved(made, tmp_path / "start")
    wanted = losses(made, 1)
    feed(made)
    made.restore(tmp_path / "start")
    assert losses(made, 1) == wanted


def poisoned(folder: Path) -> None:
    """Make a saved adapter's weights no numbers."""
    path = folder / peft_adapter.WEIGHTS
    if not arrays(path):
        path.write_text("[NaN, 0.0, 0]")
        return
    save_file({name: np.full_like(value, np.nan) for name, value in load_file(path).items()}, path, {"format": "pt"})


def test_an_update_that_is_no_number_changes_nothing(make: Make, tmp_path: Path) -> None:
    made = make()
    saved(made, tmp_path / "good")
    poisoned(tmp_path / "good")
    made.restore(tmp_path / "good")
    feed(made)
    before = saved(made, tmp_path / "before")
    assert not made.apply(1e-2).finite
    assert saved(made, tmp_path / "after") == before


def test_answers_end_at_a_stop_or_at_the_limit(make: Make) -> None:
    made, given = make(), [2, 70, 71, 72, 73]
    answer = list(made.stream(given, 5, set()))
    assert len(answer) == 5
    assert list(made.stream(given, 3, set())) == answer[:3]
    stopped = list(made.stream(given, 5, {answer[2]}))
    assert stopped == answer[: answer.index(answer[2]) + 1]


def test_the_truth_is_what_training_begins_with(make: Make) -> None:
    made = make("lora.dropout=0")
    feed(made)
    assert made.apply(0.0).loss == pytest.approx(made.full_logits_loss(PARTS), rel=1e-5)


def test_figures(make: Make) -> None:
    made = make()
    losses(made, 1)
    made.release()
    memory = made.memory()
    assert memory.peak >= memory.active >= 0
    assert all(part > 0 for part in made.work())


def test_the_base_is_never_changed(tiny: Path, recipe_path: Path) -> None:
    """Of torch; MLX has the same test in test_mlx."""
    made: Any = open_backend("torch").trainer(tiny, recipe_file.load(str(recipe_path)))
    frozen = {name: value.clone() for name, value in made._model.state_dict().items() if "lora" not in name}
    losses(made, 3)
    assert len(frozen) > 20
    assert all(value.equal(frozen[name]) for name, value in made._model.state_dict().items() if name in frozen)


@pytest.mark.parametrize("make", [*BACKENDS, GPU_PATH], indirect=True)
def test_an_adapter_of_other_projections_is_refused(make: Make, tmp_path: Path) -> None:
    more, fewer = make("lora.dropout=0"), make("lora.target_modules=[q_proj,v_proj,gate_proj]")
    for made, other, says in (
        (more, fewer, r"The adapter lacks model\.layers\.0\.mlp\.down_proj\.lora_a\."),
        (fewer, more, r"The adapter has, .*, model\.layers\.0\.mlp\.down_proj\.lora_a\."),
    ):
        folder = tmp_path / says[12:15]
        folder.mkdir()
        other.save(folder)
        with pytest.raises(ModelError, match=says):
            made.load(folder)
