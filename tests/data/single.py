"""One record at a time, as tests like it."""

from __future__ import annotations

from gemmalocal.data.examples import Example, to_examples
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.records import Record, Rejected


def to_example(record: Record, tokenizer: Tokenizer, max_length: int) -> Example | Rejected:
    """The only example of a record, cut at `max_length` tokens, or why there is none."""
    ((_, (example,)),) = to_examples([record], tokenizer, max_length)
    return example
