"""What bench compares us with, where it is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gemmalocal.backends import open_backend
from gemmalocal.errors import MISSING, BackendUnavailable


def test_bench_on_torch_says_what_to_install(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    backend = open_backend("torch")
    monkeypatch.setitem(sys.modules, "peft", None)  # as Python has it for a module that cannot be imported
    with pytest.raises(BackendUnavailable, match="PEFT, which is not installed") as refusal:
        backend.train_baseline(tiny, [([2, 5, 6], 1)], 1, 1, 8)
    assert (refusal.value.code, refusal.value.hint) == (MISSING, "pip install peft")
