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
from torch.backends.cuda import SDPAParams, can_use_flash_attention
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface

from gemmalocal.backends.torch import device
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
    row_lengths: list[int] | None = None,
    caches: Sequence[RowCache] = (),
    **unused: Any,
) -> tuple[Tensor, None]:
    """(1, heads, tokens, dims) to (1, tokens, heads, dims), as transformers wants it; `row_lengths` are in tokens.

    With `caches`, one for each row, rows go on from what is cached of them, and this is cached too.
    """
    row_lengths = row_lengths or [query.shape[2]]
    rows = list(zip(query.split(row_lengths, 2), key.split(row_lengths, 2), value.split(row_lengths, 2), strict=True))
    if caches:
        rows = [
            (queries, *cache.update(module, keys, values, sliding_window))
            for cache, (queries, keys, values) in zip(caches, rows, strict=True)
        ]
    outputs = [_attend_row(*row, scaling, sliding_window, softcap).transpose(1, 2) for row in rows]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1), None


def _attend_row(
    query: Tensor, key: Tensor, value: Tensor, scale: float, window: int | None, softcap: float | None
) -> Tensor:
    """One row's attention, (1, heads, length, dims) to the same; the queries are those of the last keys."""
    length, heads_per_key = query.shape[2], query.shape[1] // key.shape[1]
    if length == 1:  # it sees all keys; the heads of one key are as good as several queries
        queries = query.unflatten(1, (-1, heads_per_key)).squeeze(3)
        return _attend_at_once(queries, key, value, scale, None, softcap).flatten(1, 2).unsqueeze(2)
    offset = key.shape[2] - length  # keys that are cached from before
    window_cuts = window is not None and offset + length > window
    causal = not window_cuts and not offset and softcap is None
    grouped = causal and heads_per_key > 1 and _reads_shared_keys(query, key, value)
    if heads_per_key > 1 and not grouped:
        key, value = (
            shared.unsqueeze(2).expand(-1, -1, heads_per_key, -1, -1).flatten(1, 2) for shared in (key, value)
        )
    if causal:
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=grouped)
    if not window_cuts and length <= LONG:
        return _attend_at_once(query, key, value, scale, _mask(0, offset, offset + length, None, query.device), softcap)
    # No keys beyond a chunk's last query, and under a window none from long before: (CHUNK, window + CHUNK) scores.
    outputs = []
    for start in range(0, length, CHUNK):
        end = min(length, start + CHUNK)
        first_key, end_key = max(0, offset + start - window) if window else 0, offset + end
        visible = (query[:, :, start:end], key[:, :, first_key:end_key], value[:, :, first_key:end_key])
        mask = _mask(first_key, offset + start, end_key, window, query.device)
        outputs.append(
            checkpoint(_attend_at_once, *visible, scale, mask, softcap, use_reentrant=False, preserve_rng_state=False)
        )
    return torch.cat(outputs, dim=2)


def _reads_shared_keys(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether a fused kernel takes keys as they are that several heads share; else all scores would be in memory."""
    if not device.traits().grouped_attention or query.dtype == torch.float32:
        return False
    params = SDPAParams(query, key, value, None, 0.0, True, True)
    return can_use_flash_attention(params) if query.is_cuda else True


def _mask(first_key: int, start: int, end: int, window: int | None, device: torch.device) -> Tensor:
    """(queries, keys): true where a query at `start` to `end` may look at a key from `first_key` on."""
    query_positions = torch.arange(start, end, device=device)[:, None]
    key_positions = torch.arange(first_key, end, device=device)
    causal = query_positions >= key_positions
    return causal & (query_positions < key_positions + window) if window else causal


def _attend_at_once(
    query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None, softcap: float | None
) -> Tensor:
    """Attention with all scores (heads, queries, keys) at once; without a mask, all queries see all keys.

    Gemma 2 bends its scores by a softcap, for which torch's kernel has no place; the softmax is float32 then.
    """
    if softcap is None:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    scores = torch.tanh(query @ key.transpose(-1, -2) * (scale / softcap)) * softcap
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype) @ value


AttentionInterface.register(NAME, attend)
