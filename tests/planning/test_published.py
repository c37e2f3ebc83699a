"""The catalogue: its counts follow from its sizes, and what fits grows with the machine."""

from __future__ import annotations

import pytest

from gemmalocal.planning import device_memory, memory, model_sizes, suitability
from gemmalocal.planning.published import MODELS, SIZES, licence

MLX = memory.profile("mlx")
GB = 10**9


def test_names_are_unique_and_every_generation_is_there() -> None:
    names = [model.name for model in MODELS]
    assert len(set(names)) == len(names)
    assert {model.size.config["model_type"] for model in MODELS} == {
        "gemma", "gemma2", "gemma3_text", "gemma3n_text", "gemma4_text", "gemma4_unified_text",
    }  # fmt: skip
    for key in SIZES:
        assert f"google/gemma-{key}-it" in names
    assert set(names) < set(model_sizes.PUBLISHED_SIZES)


@pytest.mark.parametrize("key", [key for key in SIZES if key[:2] in ("2b", "7b", "2-", "3-")])
def test_parameters_of_the_dense_models_follow_from_their_sizes(key: str) -> None:
    size = SIZES[key]
    sizes = model_sizes.from_config(size.config)
    norms = {"gemma": 2, "gemma2": 4, "gemma3_text": 4}[size.config["model_type"]]
    small = sizes.width * (norms * sizes.layers + 1)
    if size.config["model_type"] == "gemma3_text":
        small += 2 * size.config["head_dim"] * sizes.layers
    assert sizes.body + sizes.embedding + small == size.text


def test_downloads_are_as_large_as_known_files() -> None:
    downloads = {model.name: model.download for model in MODELS}
    # Files as seen by others: transformers' published counts, and LM-server listings of Gemma 4 31B in GiB.
    assert downloads["google/gemma-3-4b-it"] == 2 * 4_300_079_472
    assert downloads["google/gemma-3-270m"] == 2 * 268_098_176
    assert downloads["google/gemma-2-9b"] == 4 * 9_241_705_984
    assert downloads["mlx-community/gemma-4-31b-it-4bit"] == pytest.approx(17.18 * 2**30, rel=0.02)
    assert downloads["mlx-community/gemma-4-31b-it-8bit"] == pytest.approx(31.47 * 2**30, rel=0.02)
    assert downloads["google/gemma-4-31B-it"] == pytest.approx(58.28 * 2**30, rel=0.02)


def test_licences_and_gates() -> None:
    for model in MODELS:
        fourth = "/gemma-4" in model.name
        assert (model.licence == "Apache-2.0") == fourth
        assert model.gated == (model.name.startswith("google/") and not fourth)


def test_models_made_for_one_purpose_say_what_their_templates_do() -> None:
    named = {model.name: model for model in MODELS if model.template}
    assert "developer's turn" in named["google/functiongemma-270m-it"].template
    assert "source_lang_code" in named["google/translategemma-12b-it"].template
    assert named["google/medgemma-4b-it"].licence.startswith("Health AI")
    assert named["google/functiongemma-270m-it"].download == 2 * 268_098_176
    assert licence("gemma3", "/cache/models--google--medgemma-4b-it/snapshots/x").key == "other"


def usable(gigabytes: int) -> int:
    """Of a machine's memory."""
    return device_memory.ram(gigabytes * GB).usable


def test_a_larger_machine_never_fits_less() -> None:
    order = ["no", "checkpointing", "yes"]
    for model in MODELS:
        found = [
            order.index(suitability.training(model.size.config, model.download, 2, usable(gigabytes), MLX))
            for gigabytes in (4, 8, 16, 32, 64, 128, 512)
        ]
        assert found == sorted(found), model.name
        assert found[-1] == order.index("yes"), model.name


def test_verdicts_on_a_small_machine() -> None:
    by_name = {model.name: model for model in MODELS}
    small, large = by_name["google/gemma-3-270m"], by_name["google/gemma-3-27b-it"]
    assert suitability.training(small.size.config, small.download, 2, usable(8), MLX) == "yes"
    assert suitability.training(large.size.config, large.download, 2, usable(16), MLX) == "no"
    assert suitability.training({"model_type": "gemma3"}, 1, 2, usable(16), MLX) == "unknown"
    assert suitability.chat(small.download, usable(8))
    assert not suitability.chat(large.download, usable(16))
