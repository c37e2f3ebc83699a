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
    return name, _loaded(name, split or "train")


def splits(source: str) -> tuple[str, dict[str, Any]]:
    """The name of `hf:owner/name` and all its splits with their rows; raises `Unreadable` as `load` does."""
    name = source.removeprefix(PREFIX)
    return name, dict(_loaded(name, None))


def _loaded(name: str, split: str | None) -> Any:
    import datasets

    try:
        return datasets.load_dataset(name, split=split)
    except Exception as error:  # the library raises a dozen kinds; each means that the rows cannot be had
        hint = "Downloading needs a network, and HF_HUB_OFFLINE must not be set. After that it works offline."
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise Unreadable(f"cannot be downloaded: {why}", hint) from error
