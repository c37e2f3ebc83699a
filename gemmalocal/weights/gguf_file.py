"""A Gemma GGUF file to a trainable folder: config.json, safetensors (float32), tokenizer.json, chat template.

The quantization is undone once (`gguf`'s own arithmetic); what it lost stays lost. One tensor is in memory at a time,
beside the shard that is being filled. Not covered: files split in parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from gemmalocal.errors import ModelError
from gemmalocal.files import atomic, staging
from gemmalocal.jobs.plurals import counted
from gemmalocal.planning import hardware
from gemmalocal.planning.published import licence
from gemmalocal.records import Tell
from gemmalocal.weights import agree, gguf_gemma, gguf_header, gguf_names, tensors, vocabulary
from gemmalocal.weights.gguf_arrays import QuickReader
from gemmalocal.weights.tensors import Tensor

SHARD = 2_000_000_000  # bytes of one safetensors file
ENDS = ("<eos>", "<end_of_turn>", "<turn|>")
VOCABULARY = ("tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type")
MERGES = "tokenizer.ggml.merges"
STRING = (gguf.GGUFValueType.STRING,)
NUMBERS = ((gguf.GGUFValueType.FLOAT32,), (gguf.GGUFValueType.INT32, gguf.GGUFValueType.UINT32))
KINDS = {"llama": VOCABULARY, "gemma4": (*VOCABULARY, MERGES)}  # of vocabularies, and what a file must hold of each


def checksum(path: Path, progress: Tell) -> str:
    """The sha256 of a file, read once, 4 MiB at a time."""
    digest, size, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(4 << 20):
            digest.update(block)
            done += len(block)
            progress("checking the file", done, size)
    return digest.hexdigest()


def to_folder(source: Path, target: Path, progress: Tell, provenance: dict[str, str]) -> Path:
    """Dequantize `source` into the folder `target` and return it; written aside, so it is whole or not there.

    provenance.json gets `provenance`, the licence, and the name of what is no part of the text model and is left out.
    Raises `ModelError` for a file that is no GGUF or damaged, a model that is no Gemma 1 to 4, and a disk too small.
    """
    reader = _open(source, progress)
    architecture = _architecture(reader, source.name)
    text = [tensor for tensor in reader.tensors if gguf_names.tower(tensor.name) is None]
    needed = 4 * sum(int(tensor.n_elements) for tensor in text)
    remedy = "Make room, or move the workspace with GEMMALOCAL_HOME."
    hardware.check_room(target.parent, needed, "The weights in float32 take", remedy)
    config = _config(reader, text, architecture, source.name)
    model_licence = licence(architecture)
    provenance = {**provenance, "licence": model_licence.terms}
    if towers := {part for tensor in reader.tensors if (part := gguf_names.tower(tensor.name))}:
        provenance["left_out"] = ", ".join(sorted(towers))
    _check_vocabulary(reader, source.name, config["vocab_size"])
    staging.sweep(target.parent)
    with atomic.new_folder(target) as folder:
        ids = _write_tokenizer(reader, folder, config["vocab_size"], progress)
        _write_weights(text, architecture, folder, progress)
        _write_json(folder / "config.json", config | ids)
        _write_json(folder / "generation_config.json", ids)
        _write_json(folder / "provenance.json", provenance)
        (folder / "NOTICE").write_text(f"{model_licence.notice}\n", encoding="utf-8")
    return target


def _config(reader: gguf.GGUFReader, text: Sequence[gguf.ReaderTensor], architecture: str, name: str) -> dict[str, Any]:
    """config.json of what a file says of itself; raises `ModelError` where its metadata and its tensors disagree."""
    shapes = {tensor.name: _shape(tensor) for tensor in text}
    if gguf_names.EMBEDDING not in shapes:
        raise ModelError(f"{name} has no token embeddings.", "It is not a whole model; download it again.")
    rotated_pairs = next((int((tensor.data == 1).sum()) for tensor in text if tensor.name == gguf_names.ROPE), None)
    try:
        metadata = partial(_value, reader)
        config = gguf_gemma.config(architecture, metadata, shapes, rotated_pairs)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise ModelError(f"The metadata of {name} cannot be read: {error}", "Download the file again.") from error
    agree.check_numbers(config, name)
    plain = {tensor: shape for tensor, shape in shapes.items() if tensor != gguf_names.ROPE}
    if missing := gguf_names.missing(plain, architecture, config["num_hidden_layers"]):
        raise ModelError(f"{name} lacks {missing}.", "It is not a whole model; download it again.")
    agree.check_tensors(
        config, {gguf_names.tensor_name(tensor, architecture): shape for tensor, shape in plain.items()}, name
    )
    return config


def _check_vocabulary(reader: gguf.GGUFReader, name: str, rows: int) -> None:
    """Raise `ModelError` unless tokens, scores and types are as many as the embedding has rows, and ids are numbers."""
    for key, kind in zip(VOCABULARY, (STRING, *NUMBERS), strict=True):
        field = reader.fields[key]
        if len(field.types) != 2 or field.types[-1] not in kind or len(field.data) < rows:
            raise ModelError(
                f"{key} of {name} must hold a fitting value for each of the {counted(rows, 'token')} of the embedding.",
                "Take another GGUF of the same model.",
            )
    for key in (key for key in reader.fields if key.startswith("tokenizer.ggml.") and key.endswith("_token_id")):
        number = _value(reader, key)
        if type(number) is not int or number < 0:
            raise ModelError(f"{key} of {name} is not the number of a token.", "Take another GGUF of the same model.")
    if not isinstance(_value(reader, "tokenizer.chat_template", ""), str):
        raise ModelError(f"tokenizer.chat_template of {name} is not text.", "Take another GGUF of the same model.")


def _architecture(reader: gguf.GGUFReader, name: str) -> str:
    """llama.cpp's name of the model; raises `ModelError` for what cannot be imported."""
    architecture = str(_value(reader, "general.architecture"))
    if architecture not in gguf_gemma.ARCHITECTURES:
        raise ModelError(
            f"{name} holds a '{architecture}' model.",
            f"GGUF files of these architectures can be imported: {', '.join(gguf_gemma.ARCHITECTURES)}.",
        )
    if (_value(reader, "split.count") or 1) > 1:
        raise ModelError(f"{name} is one part of several.", "Merge them first: llama-gguf-split --merge")
    kind = _value(reader, "tokenizer.ggml.model")
    if kind not in KINDS or not reader.fields.keys() >= set(KINDS[kind]):
        raise ModelError(f"{name} does not hold Gemma's vocabulary.", "Take another GGUF of the same model.")
    return architecture


def _open(source: Path, progress: Tell) -> gguf.GGUFReader:
    progress("reading the file", 0, 1)
    gguf_header.check(source)
    try:
        return QuickReader(source)
    except (ValueError, OSError, IndexError, KeyError, OverflowError) as error:  # as it meets garbage or the file's end
        raise ModelError(f"{source} cannot be read as GGUF: {error}", "Download the file again.") from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def _value(reader: gguf.GGUFReader, key: str, default: Any = None) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()


def _write_weights(text: Sequence[gguf.ReaderTensor], architecture: str, folder: Path, progress: Tell) -> None:
    """Write the tensors in the order of the file, one at a time in memory."""
    parts = [
        Tensor(
            gguf_names.tensor_name(tensor.name, architecture),
            _shape(tensor),
            partial(_dequantized, tensor, architecture),
        )
        for tensor in text
        if tensor.name != gguf_names.ROPE  # computed from the configuration
    ]
    tensors.write(folder, parts, "F32", lambda done, total: progress("dequantizing", done, total), SHARD)


def _shape(tensor: gguf.ReaderTensor) -> tuple[int, ...]:
    return tuple(int(size) for size in reversed(tensor.shape))


def _dequantized(tensor: gguf.ReaderTensor, architecture: str) -> np.ndarray[Any, Any]:
    try:
        values: np.ndarray[Any, Any] = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    except NotImplementedError as error:
        raise ModelError(
            f"{tensor.name} is quantized as {tensor.tensor_type.name}, which cannot be undone here.",
            "Take a GGUF of another quantization, such as Q8_0.",
        ) from error
    values = values.reshape(_shape(tensor))
    return values - np.float32(1) if gguf_names.adds_one(tensor.name, architecture) else values


def _write_tokenizer(reader: gguf.GGUFReader, folder: Path, rows: int, progress: Tell) -> dict[str, Any]:
    """Write the tokenizer's files, of as many tokens as the embedding has `rows`; the ids that config.json wants."""
    progress("rebuilding the tokenizer", 0, 1)
    tokens, scores, kinds = (reader.fields[key] for key in VOCABULARY)
    pieces = _strings(tokens)[:rows]  # Ollama's Gemma 3 has one more, for images
    # Gemma's own names first: some files give the turn's end as the text's end.
    usual_tokens = {"bos_token": ("<bos>", "bos"), "eos_token": ("<eos>", "eos")}
    usual_tokens |= {"unk_token": ("<unk>", "unknown"), "pad_token": ("<pad>", "padding")}
    numbers = {piece: number for number, piece in enumerate(pieces)}
    ids = {
        role: numbers[name] if name in numbers else _value(reader, f"tokenizer.ggml.{key}_token_id", 0)
        for role, (name, key) in usual_tokens.items()
    }
    if bad_role := next((role for role, number in ids.items() if number >= len(pieces)), None):
        message = f"The file's {bad_role} is number {ids[bad_role]} of {counted(len(pieces), 'token')}."
        raise ModelError(message, "Take another GGUF.")
    names = {role: pieces[number] for role, number in ids.items()}
    types = [int(kinds.parts[index][0]) for index in kinds.data[:rows]]
    if MERGES in reader.fields:
        merge_list = vocabulary.listed_merges(_strings(reader.fields[MERGES]), pieces)
    else:
        ranked = [float(scores.parts[index][0]) for index in scores.data[:rows]]
        merge_list = vocabulary.merges(pieces, ranked, vocabulary.added_pieces(pieces, types))
    tokenizer = vocabulary.build(pieces, types, merge_list, names["bos_token"], names["unk_token"])
    vocabulary.write(tokenizer, folder, names, _value(reader, "tokenizer.chat_template"))
    progress("rebuilding the tokenizer", 1, 1)
    stated = [_value(reader, f"tokenizer.ggml.{key}_token_id") for key in ("eos", "eot")]
    ends = {numbers[name] for name in ENDS if name in numbers} | {end for end in stated if end is not None}
    return {
        "bos_token_id": ids["bos_token"],
        "eos_token_id": sorted(ends),
        "pad_token_id": ids["pad_token"],
    }


def _strings(field: gguf.ReaderField) -> list[str]:
    try:
        return [bytes(field.parts[index]).decode("utf-8") for index in field.data]
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{field.name} holds text that is not UTF-8.", "Take another GGUF of the same model."
        ) from error
