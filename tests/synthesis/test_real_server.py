"""A real llama.cpp server, with Google's 270M, as the endpoint: it holds to the schema, and not to the truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE, Message
from gemmalocal.synthesis import ground
from gemmalocal.synthesis.asking import Answer, Prompt
from gemmalocal.synthesis.endpoint import Endpoint
from gemmalocal.synthesis.tasks import Pair, parse, schema
from gemmalocal.weights.locate import DEMO_PACKAGE
from gemmalocal.workspace import datasets
from tests.here import apart
from tests.pipelines.preparations import LIGHT

EXAMPLES = """Text: The tower was finished in 1889. It is made of iron.
{"rows": [{"question": "When was the tower finished?", "answer": "In 1889.", "evidence": "The tower was finished"}]}

Text: Bees dance in the hive. They tell each other where flowers are.
{"rows": [{"question": "Where do bees dance?", "answer": "In the hive.", "evidence": "Bees dance in the hive."}]}

Text: {{ passage }}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    xllamacpp = pytest.importorskip("xllamacpp")
    file = tmp_path_factory.mktemp("gguf") / "model.gguf"
    with file.open("wb") as whole:
        for part in import_module(DEMO_PACKAGE).chunk_paths():
            whole.write(Path(part).read_bytes())
    settings = xllamacpp.CommonParams()
    settings.model.path, settings.n_ctx, settings.cpuparams.n_threads, settings.verbosity = str(file), 4096, 1, 0
    listening = xllamacpp.Server(settings)
    yield str(listening.listening_address)
    del listening


def test_what_a_small_model_makes_up_is_found_out(server: str, tiny: Path, tmp_path: Path, workspace: Path) -> None:
    endpoint = Endpoint(server, settings={"temperature": 0, "max_tokens": 100})
    answers = dict(endpoint([Prompt((Message("user", "Say hello."),), schema(Pair, 1))]))
    assert isinstance(answers[0], Answer)
    assert answers[0].usage is not None
    assert answers[0].usage.completion in range(10, 101)  # as the server counts it
    assert parse(answers[0].text, Pair)  # against a base model's nature
    (tmp_path / "qa.j2").write_text(EXAMPLES)
    document = tmp_path / "light.md"
    document.write_text(LIGHT.partition("# The fog")[0])
    done = apart(
        "prepare", str(document), "--to", "d", "--model", str(tiny), "--pairs", "2", "--passage-tokens", "400",
        "--attempts", "1", "--answer-tokens", "120", "--endpoint", server, "--concurrency", "1",
        "--prompts", str(tmp_path), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = next(json.loads(line)["data"] for line in done.stdout.splitlines() if '"report"' in line)
    assert report["asked"] == report["passages"] == 2
    folder = workspace / "datasets" / "d"
    kept = datasets.read(folder / TRAIN_FILE) + datasets.read(folder / HELD_OUT_FILE)
    assert len(kept) >= 2
    assert all(ground.problem(row["evidence"], LIGHT) is None for row in kept)
    row_count = report["by"].get("model", 0) + len(datasets.read(folder / datasets.REJECTED))
    assert row_count or report["left_to_rules"]
