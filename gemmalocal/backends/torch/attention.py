"""Causal attention of rows that lie one after the other in one sequence: no row sees another, nothing is padding.

Transformers calls it in every layer of every Gemma, under the name `NAME`. Rows beyond a sliding window, and long ones
under Gemma 2's softcap, go `CHUNK` queries at a time and meet only the keys that they can see; their scores are
computed again in the backward pass (https://arxiv.org/abs/2112.05682).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface

from gemmalocal.backends.torch.kv_cache import RowCache
from gemmalocal.planning.memory import LONG

NAME = "gemmalocal"
CHUNK = 256  # queries at once


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float = 1.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    rows: list[int] | None = None,
    before: Sequence[RowCache] = (),
    **others: Any,
) -> tuple[Tensor, None]:
    """(1, heads, tokens, dims) to (1, tokens, heads, dims), as transformers wants it; `rows` are lengths of the rows.

    With `before`, one for each of them, rows go on from what they remember, and remember this too.
    """
    rows = rows or [query.shape[2]]
    parts = list(zip(query.split(rows, 2), key.split(rows, 2), value.split(rows, 2), strict=True))
    if before:
        parts = [
            (own, *row.see(module, keys, values, sliding_window))
            for row, (own, keys, values) in zip(before, parts, strict=True)
        ]
    pieces = [_row(*part, scaling, sliding_window, softcap).transpose(1, 2) for part in parts]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1), None


def _row(query: Tensor, key: Tensor, value: Tensor, scale: float, window: int | None, softcap: float | None) -> Tensor:
    """One row's attention, (1, heads, length, dims) to the same; the queries are those of the last keys."""
    length, share = query.shape[2], query.shape[1] // key.shape[1]
    if length == 1:  # it sees all keys; the heads of one key are as good as several queries
        queries = query.unflatten(1, (-1, share)).squeeze(3)
        return _scored(queries, key, value, scale, None, softcap).flatten(1, 2).unsqueeze(2)
    if share > 1:
        key, value = (each.unsqueeze(2).expand(-1, -1, share, -1, -1).flatten(1, 2) for each in (key, value))
    before = key.shape[2] - length
    slides = window is not None and before + length > window
    if not slides and not before and softcap is None:
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale)
    if not slides and length <= LONG:
        return _scored(query, key, value, scale, _mask(0, before, before + length, None, query), softcap)
    found = []
    for start in range(0, length, CHUNK):
        end = min(length, start + CHUNK)
        first, last = max(0, before + start - window) if window else 0, before + end
        given = (query[:, :, start:end], key[:, :, first:last], value[:, :, first:last])
        mask = _mask(first, before + start, last, window, query)
        found.append(checkpoint(_scored, *given, scale, mask, softcap, use_reentrant=False, preserve_rng_state=False))
    return torch.cat(found, dim=2)


def _mask(first: int, start: int, end: int, window: int | None, like: Tensor) -> Tensor:
    """(queries, keys): true where a query at `start` to `end` may look at a key from `first` on."""
    queries = torch.arange(start, end, device=like.device)[:, None]
    keys = torch.arange(first, end, device=like.device)
    causal = queries >= keys
    return causal & (queries < keys + window) if window else causal


def _scored(
    query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None, softcap: float | None
) -> Tensor:
    """Attention with all scores at once; without a mask, all queries see all keys."""
    if softcap is None:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    scores = torch.tanh(query @ key.transpose(-1, -2) * (scale / softcap)) * softcap
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype) @ value


AttentionInterface.register(NAME, attend)
