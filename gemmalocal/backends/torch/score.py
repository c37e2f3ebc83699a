"""Loss of several voices over the same examples, and how far they are from the first one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemmalocal.backends.protocol import Likeliest, Scores
from gemmalocal.backends.scoring import TOKENS, Predicted, joined, parts, predicted, summed
from gemmalocal.backends.torch import multi_lora
from gemmalocal.backends.torch.loss import Head
from gemmalocal.data.examples import Example
from gemmalocal.weights.tensors import Floats


@torch.no_grad()
def score(
    language_model: Any,
    head: Head,
    layers: Sequence[multi_lora.MultiLoraLinear],
    examples: Sequence[Example],
    voices: Sequence[int],
) -> Scores:
    """What `Generator.score` promises."""
    states = _states(language_model, layers, examples, voices)  # (voices, tokens, width)
    starts = _starts(examples)

    def figures(part: Predicted) -> tuple[Floats, Floats]:
        flat, targets = starts[part.rows] + part.places, part.targets.astype(np.int64)
        hidden = states[:, torch.from_numpy(flat).to(states.device)].float()  # (voices, n, width)
        logits = head.logits(hidden.flatten(0, 1)).unflatten(0, hidden.shape[:2])
        losses, divergences = _figures(logits, torch.from_numpy(targets).to(states.device))
        return losses.cpu().numpy(), divergences.cpu().numpy()

    return summed(predicted(examples), len(examples), len(voices), figures)


def logits(
    language_model: Any,
    head: Head,
    layers: Sequence[multi_lora.MultiLoraLinear],
    examples: Sequence[Example],
    voice: int,
) -> Iterator[Floats]:
    """What `Generator.logits` promises."""
    with torch.no_grad():
        states = _states(language_model, layers, examples, [voice])[0]
    starts = _starts(examples)
    for part in parts(predicted(examples)):
        flat = torch.from_numpy(starts[part.rows] + part.places).to(states.device)
        with torch.no_grad():
            of_part: Floats = head.logits(states[flat].float()).float().cpu().numpy()
        yield of_part


def _starts(examples: Sequence[Example]) -> NDArray[np.int64]:
    """Where the states of each example begin, laid end to end, (examples + 1,)."""
    return np.cumsum([0, *(len(example.ids) - 1 for example in examples)])


@torch.no_grad()
def likeliest(
    language_model: Any,
    head: Head,
    layers: Sequence[multi_lora.MultiLoraLinear],
    examples: Sequence[Example],
    voice: int,
    keep: int,
    temperature: float,
    vocabulary: int,
) -> Likeliest:
    """What `Generator.likeliest` promises."""
    states = _states(language_model, layers, examples, [voice])[0]
    starts = _starts(examples)

    def of_part(part: Predicted) -> Likeliest:
        flat = torch.from_numpy(starts[part.rows] + part.places).to(states.device)
        logits = head.logits(states[flat].float())[:, :vocabulary].div_(temperature)
        normalizer = logits.logsumexp(1, keepdim=True)
        kept, ids = logits.topk(keep, 1)
        # What is left is summed up by itself: as 1 less the others it would be rounded away where it is little.
        rest = logits.scatter_(1, ids, -torch.inf).logsumexp(1, keepdim=True) - normalizer
        return Likeliest(
            ids.cpu().numpy().astype(np.int32), (kept - normalizer).cpu().numpy(), rest[:, 0].cpu().numpy()
        )

    return joined(of_part(part) for part in parts(predicted(examples), TOKENS))


def _states(
    language_model: Any,
    layers: Sequence[multi_lora.MultiLoraLinear],
    examples: Sequence[Example],
    voices: Sequence[int],
) -> Tensor:
    """Hidden states (voices, tokens, width) of all examples end to end, without their last tokens."""
    device, lengths = language_model.device, [len(example.ids) - 1 for example in examples]
    ids = torch.from_numpy(np.concatenate([example.ids[:-1] for example in examples]).astype(np.int64)).to(device)
    positions = torch.cat([torch.arange(length, device=device) for length in lengths])
    chosen = torch.tensor(list(voices), device=device).repeat_interleave(len(ids)) if any(voices) else None
    for layer in layers:
        layer.select(chosen)
    states: Tensor = language_model.model(
        input_ids=ids.repeat(len(voices))[None],
        position_ids=positions.repeat(len(voices))[None],
        use_cache=False,
        row_lengths=lengths * len(voices),
    ).last_hidden_state
    return states[0].unflatten(0, (len(voices), -1))


def _figures(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and KL (voices, n) by logits (voices, n, vocabulary) and ids (n,)."""
    scores = logits.log_softmax(-1)
    losses = -scores.gather(-1, targets.expand(len(scores), -1)[..., None])[..., 0]
    return losses, (scores[:1].exp() * (scores[:1] - scores)).sum(-1)
