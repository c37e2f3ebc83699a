"""Datasets of the Hub (https://huggingface.co/datasets), fetched only because the user names one."""

from __future__ import annotations

from typing import Any

from gemmalocal.documents.document import Unreadable

PREFIX = "hf:"


def load(source: str) -> tuple[str, Any]:
    """The name and the rows (a `datasets.Dataset`) of `hf:owner/name[:split]`; the split is train if none is named.

    Raises `Unreadable` if it is neither in the library's cache nor to be had.
    """
    name, _, split = source.removeprefix(PREFIX).partition(":")
    import datasets

    try:
        return name, datasets.load_dataset(name, split=split or "train")
    except Exception as error:  # the library raises a dozen kinds; each means that the rows cannot be had
        hint = "Fetching needs a network and HF_HUB_OFFLINE unset; once fetched it works offline."
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise Unreadable(f"cannot be had: {why}", hint) from error
