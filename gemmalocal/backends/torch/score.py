"""Loss of several voices over the same examples, and how far they are from the first one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gemmalocal.backends.protocol import Scores
from gemmalocal.backends.torch import multi_lora
from gemmalocal.backends.torch.loss import Head
from gemmalocal.data.examples import Example

TOKENS = 64  # whose logits (of all voices together) are in memory at once


@torch.no_grad()
def score(
    language_model: Any,
    head: Head,
    layers: Sequence[multi_lora.MultiLoraLinear],
    examples: Sequence[Example],
    voices: Sequence[int],
) -> Scores:
    """What `Generator.score` promises."""
    # (n,): of each token to be predicted its example, its place among all tokens, and its id.
    places = [np.flatnonzero(example.weights[1:] > 0) for example in examples]
    rows = np.repeat(np.arange(len(examples)), [len(of_example) for of_example in places])
    starts = np.cumsum([0, *(len(example.ids) - 1 for example in examples)])
    flat = np.concatenate([start + of_example for start, of_example in zip(starts[:-1], places, strict=True)])
    ids = np.concatenate([example.ids[1:][of_example] for example, of_example in zip(examples, places, strict=True)])
    states = _states(language_model, layers, examples, voices)  # (voices, tokens, width)
    nats, kl = np.zeros((len(examples), len(voices))), np.zeros((len(examples), len(voices)))
    step = max(1, TOKENS // len(voices))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        hidden = states[:, torch.from_numpy(flat[part]).to(states.device)].float()  # (voices, n, width)
        logits = head.logits(hidden.flatten(0, 1)).unflatten(0, hidden.shape[:2])
        losses, divergences = _figures(logits, torch.from_numpy(ids[part].astype(np.int64)).to(states.device))
        np.add.at(nats, rows[part], losses.T.cpu().numpy())
        np.add.at(kl, rows[part], divergences.T.cpu().numpy())
    return Scores(nats, kl)


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
