"""What each tracker has of a run, read by its own means: by series, the values in the order of their steps."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from json import loads
from pathlib import Path
from typing import Any

from gemmalocal.files import paths

Series = dict[str, list[tuple[int, float]]]
Texts = dict[str, list[tuple[int, str]]]
BLOCK, HEADER, ENDS = 32_768, 7, (1, 4)  # of wandb's log of records: bytes, and the kinds of a record's last part


def tensorboard(run: Path) -> tuple[Series, Texts]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(run / "tracking" / "tensorboard" / "events"), size_guidance={"tensors": 0}).Reload()
    series, texts = Series(), Texts()
    for tag in events.Tags()["tensors"]:
        values = [(event.step, make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
        if events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            series[tag] = [(step, value.item()) for step, value in values]
        else:
            texts[tag] = [(step, value.item().decode()) for step, value in values]
    return series, texts


def wandb(run: Path) -> tuple[Series, Texts]:
    series, texts = defaultdict(list), defaultdict(list)
    for file in sorted((run / "tracking" / "wandb" / "wandb").glob("offline-run-*/*.wandb")):
        for record in _records(file.read_bytes()):
            values = {item.key or item.nested_key[0]: loads(item.value_json) for item in record.history.item}
            step = int(values.pop("_step", -1))
            for name, value in values.items():
                if isinstance(value, str):
                    texts[name].append((step, value))
                elif not name.startswith("_") and not isinstance(value, dict):
                    series[name].append((step, value))
    return dict(series), dict(texts)


def _records(data: bytes) -> Iterator[Any]:
    """LevelDB's log: blocks, in them parts with checksum, length and kind."""
    from wandb.proto.wandb_internal_pb2 import Record

    place, whole = HEADER, b""
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        if left < HEADER or not kind:
            place += left
            continue
        whole += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in ENDS:
            yield Record.FromString(whole)
            whole = b""


def trackio(run: Path) -> tuple[Series, Texts]:
    from trackio.sqlite_storage import SQLiteStorage

    series, texts = defaultdict(list), defaultdict(list)
    names = [name for name in SQLiteStorage.get_runs("gemmalocal") if name.rpartition("-")[0] == run.name]
    assert len(names) < 2
    for row in (row for name in names for row in SQLiteStorage.get_logs("gemmalocal", name)):
        for key, value in row.items():
            if isinstance(value, str) and key != "timestamp":
                texts[key].append((row["step"], value))
            elif isinstance(value, int | float) and key != "step":
                series[key].append((row["step"], value))
    return dict(series), dict(texts)


def mlflow(run: Path) -> tuple[Series, Texts]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{paths.workspace() / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("gemmalocal").experiment_id
    (kept,) = [one for one in client.search_runs([experiment]) if one.info.run_name == run.name]
    series = {
        name: [(metric.step, metric.value) for metric in client.get_metric_history(kept.info.run_id, name)]
        for name in kept.data.metrics
    }
    files = paths.workspace() / "mlflow-files" / kept.info.run_id / "artifacts"
    texts: Texts = defaultdict(list)
    for file in sorted(files.rglob("step-*.txt")):
        texts[str(file.parent.relative_to(files))].append((int(file.stem.removeprefix("step-")), file.read_text()))
    return series, dict(texts)


READERS = {"tensorboard": tensorboard, "wandb": wandb, "trackio": trackio, "mlflow": mlflow}
