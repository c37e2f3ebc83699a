"""A tiny student of few rows, with a teacher that has seen many, and without: who comes nearer, in equal steps?

    python -m benchmarks.planted_teacher [SEEDS]

Rows are random walks over eight letters, where the next letter goes by the last two. A teacher of two layers learns
from 3,000 of them; a student of one layer has 200, and learns from these by themselves (their own letters) or from what
the teacher says of them. Both take the same steps, from the same weights. Prints, for each seed, KL(teacher || student)
and the share of letters guessed right on 200 other rows. Two minutes a seed on two cores.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

LETTERS = "abcdefgh"
LENGTH = 24


class Sizes(NamedTuple):
    """Rows of the student and the teacher, steps of both, and rows in a batch."""

    few: int = 200
    many: int = 3000
    steps: int = 200
    teacher_steps: int = 400
    batch: int = 16


USUAL = Sizes()

CONFIG: dict[str, Any] = {
    "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "num_key_value_heads": 1, "head_dim": 16,
    "query_pre_attn_scalar": 16, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "rope_local_base_freq": 1e4,
    "sliding_window": 64, "sliding_window_pattern": 2, "max_position_embeddings": 128,
    "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": True, "bos_token_id": 2, "eos_token_id": 1,
    "pad_token_id": 0, "dtype": "float32",
}  # fmt: skip


def write_model(folder: Path, width: int, layers: int, seed: int) -> None:
    """A random Gemma 3 whose tokens are letters."""
    from safetensors.numpy import save_file

    from gemmalocal.weights import hollow, vocabulary

    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    pieces = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *f"▁{LETTERS}"]
    kinds = [3, 3, 3, 2, *[6] * 256, *[1] * (len(LETTERS) + 1)]
    names = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
    folder.mkdir(parents=True)
    vocabulary.write(vocabulary.build(pieces, kinds, [], "<bos>", "<unk>"), folder, names, None)
    sizes = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers}
    config = {**CONFIG, **sizes, "num_attention_heads": width // 16, "vocab_size": len(pieces)}
    (folder / "config.json").write_text(json.dumps(config))
    random = np.random.default_rng(seed)
    weights = {
        name: (0.1 * random.standard_normal(shape)).astype(np.float32) for name, shape in hollow.shapes(config).items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def write_rows(file: Path, count: int, seed: int, draw_seed: int) -> None:
    """Random walks by the transitions of a seed."""
    words = len(LETTERS)
    transitions = np.random.default_rng(seed).dirichlet(np.full(words, 0.4), (words, words))
    random = np.random.default_rng([seed, draw_seed])
    rows = []
    for _ in range(count):
        walk = random.integers(0, words, 2).tolist()
        while len(walk) < LENGTH:
            walk.append(int(random.choice(words, p=transitions[walk[-2], walk[-1]])))
        rows.append(json.dumps({"text": "".join(LETTERS[letter] for letter in walk)}))
    file.write_text("\n".join(rows) + "\n")


def train(model: Path, rows: Path, into: Path, steps: int, batch: int, **more: Any) -> list[Any]:
    """A full fine-tune of a model; its events."""
    from gemmalocal.pipelines import train as pipeline
    from gemmalocal.recipe.schema import Recipe

    whole: dict[str, Any] = {
        "model": str(model),
        "backend": "torch",
        "method": "full",
        "data": {"path": str(rows), "duplicates": "keep", "max_length": 64},
        "train": {
            "steps": steps,
            "batch_size": batch,
            "learning_rate": 3e-3,
            "evaluate_every": steps,
            "save_every": steps,
        },
    }
    into.mkdir()
    spec = Recipe.model_validate(whole | more).model_dump(mode="json")
    (into / "job.json").write_text(json.dumps({"kind": "train", "spec": spec}))
    return list(pipeline.run(spec, into, list))


def right(run: Path, rows: Path) -> float:
    """The share of letters after the second one that a run's model guesses right."""
    from gemmalocal.backends import open_backend
    from gemmalocal.data.examples import Example
    from gemmalocal.data.tokenizer import Tokenizer

    tokenizer, model = Tokenizer(run / "model"), open_backend("torch").generator(run / "model")
    hits: list[bool] = []
    for line in rows.read_text().splitlines():
        ids = np.array(tokenizer.encode(tokenizer.bos + json.loads(line)["text"]), np.int32)
        weights = (np.arange(len(ids)) >= 4).astype(np.float32)
        logits = np.concatenate(list(model.logits([Example(ids, weights)], 0)))
        hits += (logits.argmax(1) == ids[4:]).tolist()
    model.close()
    return sum(hits) / len(hits)


def compare(folder: Path, seed: int, sizes: Sizes = USUAL) -> dict[str, Any]:
    """KL to the teacher and accuracy of both students, and the teacher's own accuracy, on rows that nobody had."""
    for name, count, draw in (("many", sizes.many, 1), ("few", sizes.few, 2), ("other", sizes.few, 3)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_rows(folder / name / "train.jsonl", count, seed, draw)
    rows = folder / "students"
    rows.mkdir()
    for side, name in (("train", "few"), ("valid", "other")):
        (rows / f"{side}.jsonl").write_text((folder / name / "train.jsonl").read_text())
    write_model(folder / "large", 64, 2, seed)
    write_model(folder / "small", 32, 1, seed)
    train(folder / "large", folder / "many", folder / "teacher", sizes.teacher_steps, sizes.batch)
    other = rows / "valid.jsonl"
    came: dict[str, Any] = {"seed": seed, "teacher": {"right": round(right(folder / "teacher", other), 4)}}
    for name, mix in (("plain", 1.0), ("taught", 0.0)):  # the rows' own letters alone are plain training
        taught = {"teacher": {"model": str(folder / "teacher" / "model")}, "objective": {"kind": "distill", "mix": mix}}
        events = train(folder / "small", rows, folder / name, sizes.steps, sizes.batch, **taught)
        last = [event for event in events if type(event).__name__ == "Evaluated"][-1]
        came[name] = {"kl": round(last.preference["kl"], 4), "right": round(right(folder / name, other), 4)}
    return came


def main() -> None:
    """Print a line for each seed."""
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 5):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["GEMMALOCAL_HOME"] = folder
            print(json.dumps(compare(Path(folder) / "tries", seed)), flush=True)


if __name__ == "__main__":
    main()
