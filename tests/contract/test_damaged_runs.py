"""Whatever stands in the files of a run, under hashes that belong to it: it is loaded, or refused as an ArtifactError
that names the file, and takes no more time or memory than a run of its size."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import resource
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.contract.task_rows import CELL_TASKS, is_of_rows
from tests.contract.test_features import EXAMPLES, ROWS
from tests.end_to_end.resealed import reseal
from tests.unit.forecasts import forecast_of, series_table

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ArtifactError, LubanError
from luban.core.runtime import seeded
from luban.core.tensors import TensorKind
from luban.data.table import Table
from luban.features import FEATURES
from luban.features.base import FitContext
from luban.features.number import NumberConfig, NumberFeature
from luban.features.schema import Schema
from luban.models.choice import ARCHITECTURES, SLOTS, NetworkConfig, complete
from luban.models.network import Network, specify
from luban.predictor import Predictor
from luban.tasks import TASKS
from luban.tasks.validated import Validated

DEEP = "a part that is nested without end"
PARTS = (None, True, "x", -1, 0, 1.5, 1e300, 10**30, 10**7, [], {}, [[1]], DEEP)
VALUES_A_PLACE = 1  # of these, in turn: each place meets some, and each of them many places
SECONDS, BYTES = 5.0, 400 * 2**20  # of the processor; of memory, over what was taken before
SMALL: dict[str, dict[str, Any]] = {
    "lstm": {"hidden": 8, "dim": 8},
    "gru": {"hidden": 8, "dim": 8},
    "textcnn": {"dim": 8, "channels": 4},
    "transformer": {"layers": 1, "width": 8, "heads": 2},
    "patchtst": {"patch": 4, "stride": 2, "layers": 1, "width": 8, "heads": 2, "ffn": 8},
    "resnet": {"stem": 4, "channels": [4, 8], "blocks": [1, 0]},
    "lenet": {"channels": [4], "hidden": 8},
    "pretrained": {
        "checkpoint": "none",
        "backbone": {"layers": 1, "width": 8, "heads": 2, "vocab_size": 400, "max_positions": 256},
    },
}
TARGETS = {
    "binary": [("no", "yes")[row % 2] for row in range(ROWS)],
    "multiclass": [("red", "green", "blue")[row % 3] for row in range(ROWS)],
    "multi_label": [("a;b", "b", "c;a")[row % 3] for row in range(ROWS)],
    "regression": [row / 7 for row in range(ROWS)],
    "tags": [[("O", "B-X")[place % 2] for place in range(3 + row % 4)] for row in range(ROWS)],
}
INPUTS = {"tags": ("words",)}  # of each task that does not take columns of every kind
# Which network each task comes with; every architecture stands here.
NETWORKS = {
    "binary": {"tokens": "lstm", "grid": "resnet", "frames": "gru"},
    "multiclass": {"tokens": "textcnn", "grid": "lenet", "frames": "lstm"},
    "multi_label": {"tokens": "transformer", "grid": "flatten", "frames": "gru"},
    "regression": {"tokens": "pretrained", "grid": "flatten", "frames": "gru"},
    "tags": {"tokens": "lstm", "grid": "flatten", "frames": "gru"},
}


FORECASTS = {"forecast": "dlinear", "forecast of patches": "patchtst"}


@dataclass(frozen=True)
class Made:
    """A run of every kind of column, and the rows that it is asked about, with as many answers."""

    folder: Path
    table: Table
    answers: int = ROWS


def table_of() -> Table:
    cells = {kind: [make(row) for row in range(ROWS)] for kind, (make, _) in EXAMPLES.items()}
    return Table(pl.DataFrame(cells), "rows", None, np.arange(1, ROWS + 1))


def made(folder: Path, name: str) -> Made:
    if name in FORECASTS:
        return made_forecast(folder, name)
    table = table_of()
    task = {task.name: task for task in TASKS}[name].fit(pl.Series("target", TARGETS[name]))
    kinds = [kind for kind in FEATURES if kind.kind in INPUTS.get(name, EXAMPLES)]
    features = [kind.fit(kind.kind, (kind.kind,), table.frame, kind.config_type(), FitContext()) for kind in kinds]
    schema = Schema(tuple(features), {"id": "an identifier"}, "target")
    task = task.bound({feature.name: feature.kind for feature in features})
    chosen = {slot: {"architecture": each, **SMALL.get(each, {})} for slot, each in NETWORKS[name].items()}
    hidden = [8] if is_of_rows(task) else []
    config, _ = complete(NetworkConfig.model_validate(chosen | {"hidden": hidden}), set(TensorKind), chinese=False)
    spec = specify(config, schema.specs(), task.heads())
    network = Network(spec)
    with seeded(0, name), torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.1)
    run = RunDirectory.create(folder, name)
    Predictor(schema, task, spec, network, torch.device("cpu")).save(run)
    artifact.write_json(run / artifact.CALIBRATION, Validated(temperature=1.5, rows=20).model_dump(mode="json"))
    run.seal({"luban": "0.1.0", "seconds": {"train": 1.5}, "data": {"source": "rows", "rows": {"train": ROWS}}})
    return Made(run.path, table)


def made_forecast(folder: Path, name: str) -> Made:
    table = series_table(40, columns=("y", "z"), keys=("a", "b"))
    table = replace(table, frame=table.frame.with_columns(size=pl.col("y") ** 2))
    feature = NumberFeature.fit("size", ("size",), table.frame, NumberConfig(), FitContext())
    task = forecast_of(table, ("y", "z"), horizon=3, lookback=12).taking([feature.spec()])
    model = NetworkConfig.model_validate(
        {"frames": {"architecture": FORECASTS[name], **SMALL.get(FORECASTS[name], {})}}
    )
    config, _ = complete(model, {TensorKind.FRAMES}, chinese=False, usual=task.architecture)
    network = Network(spec := specify(config, task.inputs([feature.spec()]), task.heads()))
    run = RunDirectory.create(folder, name)
    schema = Schema((feature,), {"time": "the time"}, ["y", "z"])
    Predictor(schema, task, spec, network, torch.device("cpu")).save(run)
    artifact.write_json(run / artifact.CALIBRATION, Validated(rows=20).model_dump(mode="json"))
    run.seal({"luban": "0.1.0", "seconds": {"train": 1.5}, "data": {"source": "rows", "rows": {"train": 40}}})
    return Made(run.path, table, answers=6)


@pytest.fixture(scope="module", params=[*(task.name for task in CELL_TASKS), *FORECASTS])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("runs"), request.param)


@pytest.fixture
def damaged(run: Made, tmp_path: Path) -> Path:
    shutil.copytree(run.folder, tmp_path / "run")
    return tmp_path / "run"


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value, of a long list those of its ends."""
    yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for place in sorted({0, len(value) - 1} & set(range(len(value)))):
            yield from places(value[place], (*path, place))


def changes(content: Any) -> Iterator[Any]:
    """Yield contents that differ in one place: another value, none at all, one name more."""
    for number, path in enumerate(places(content)):
        for value in (PARTS[(number * VALUES_A_PLACE + each) % len(PARTS)] for each in range(VALUES_A_PLACE)):
            yield changed(content, path, value)
        if path:
            yield changed(content, path, None, gone=True)
        part: Any = content
        for step in path:
            part = part[step]
        if isinstance(part, dict):
            yield changed(content, path, part | {"a name more": 1})


def changed(content: Any, path: tuple[str | int, ...], value: Any, *, gone: bool = False) -> Any:
    if not path:
        return value
    found = copy.deepcopy(content)
    parent = found
    for step in path[:-1]:
        parent = parent[step]
    if gone:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return found


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content).replace(json.dumps(DEEP), "[" * 50_000 + "]" * 50_000), "utf-8")


def used() -> int:
    """Return the most bytes that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_every_architecture_stands_in_the_table() -> None:
    slots = {name for name, row in ARCHITECTURES.items() if row.kinds & set(SLOTS.values())}
    assert {each for networks in NETWORKS.values() for each in networks.values()} | {*FORECASTS.values()} == slots


@pytest.mark.parametrize(
    "name", [artifact.FEATURES, artifact.NETWORK, artifact.TASK, artifact.CALIBRATION, artifact.MANIFEST]
)
def test_whatever_a_part_is_the_run_is_loaded_or_refused(run: Made, damaged: Path, name: str) -> None:
    if name in (artifact.FEATURES, artifact.MANIFEST) and run.folder.name != "binary":
        pytest.skip("the same in every run")
    sound = json.loads((damaged / name).read_text("utf-8"))
    is_cut = name == artifact.NETWORK and run.folder.name != "binary"
    content = sound["encoders"] if is_cut else sound  # what tells one network from another
    before, said, whole = used(), list[str](), (damaged / artifact.MANIFEST).read_text("utf-8")
    for part in changes(content):
        (damaged / artifact.MANIFEST).write_text(whole, "utf-8")
        write(damaged / name, {**sound, "encoders": part} if is_cut else part)
        if name != artifact.MANIFEST:
            reseal(damaged)
        start = time.process_time()
        try:
            predictor = Predictor.load(damaged, "cpu")
        except ArtifactError as error:
            said.append(str(error))
        else:
            with contextlib.suppress(LubanError):
                assert len(predictor.predict(run.table).frame) == run.answers
        assert time.process_time() - start < SECONDS
    assert len(said) > 5
    assert all(each.startswith(f"{damaged}/") and "\n" not in each for each in said)
    assert used() - before < BYTES


def refuse(run: Path, words: str) -> None:
    reseal(run)
    before, start = used(), time.process_time()
    with pytest.raises(ArtifactError, match=words):
        Predictor.load(run, "cpu")
    assert time.process_time() - start < SECONDS
    assert used() - before < BYTES


def edit(path: Path, *steps: str | int, value: Any) -> None:
    content = json.loads(path.read_text("utf-8"))
    write(path, changed(content, steps, value))


def test_sizes_that_the_weights_cannot_fill_take_no_memory(damaged: Path) -> None:
    sound = (damaged / artifact.NETWORK).read_text("utf-8")
    encoders = json.loads(sound)["encoders"]
    for name, config in encoders.items():
        for setting in {"layers", "blocks", "hidden", "channels", "width", "dim"} & config.keys():
            huge = [10**7] * len(config[setting]) if isinstance(config[setting], list) else 10**7
            (damaged / artifact.NETWORK).write_text(sound, "utf-8")
            edit(damaged / artifact.NETWORK, "encoders", name, setting, value=huge)
            refuse(damaged, r"(network.json|model.safetensors): expected the (network of a run|weights of the network)")
    (damaged / artifact.NETWORK).write_text(sound, "utf-8")
    kinds = [feature["kind"] for feature in json.loads((damaged / artifact.FEATURES).read_text("utf-8"))["features"]]
    if "image" not in kinds:
        return
    place = kinds.index("image")
    edit(damaged / artifact.FEATURES, "features", place, "state", "size", value=30_000)
    refuse(damaged, "features.json: expected the fitted columns of a run, found .*size: input should be less than")


def test_weights_that_are_others_are_named(damaged: Path) -> None:
    path = damaged / artifact.WEIGHTS
    sound = load_file(path)
    name = "heads.0.linear.weight"
    for weights, words in (
        ({**sound, "more": torch.zeros(3)}, "found 'more', which the network has not"),
        ({key: each for key, each in sound.items() if key != name}, f"found '{name}', which is not there"),
        ({**sound, name: torch.zeros(7, 5)}, rf"found '{name}': \[7, 5\] of float32 in place of \["),
        ({**sound, name: sound[name].half()}, rf"found '{name}': .* of float16 in place of .* of float32"),
        ({**sound, name: sound[name] * torch.nan}, rf"found '{name}': \d+ of \d+ numbers are not finite"),
        ({**sound, name: sound[name] + torch.inf}, "numbers are not finite"),
    ):
        save_file({key: each.contiguous() for key, each in weights.items()}, path)
        refuse(damaged, f"model.safetensors: expected the weights .*{words}")


@pytest.mark.parametrize("length", [0, 8, 10**6, 2**63])
def test_header_that_lies_about_its_length_takes_no_memory(damaged: Path, length: int) -> None:
    path = damaged / artifact.WEIGHTS
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    refuse(damaged, "model.safetensors: expected the weights that the training wrote")


@pytest.mark.parametrize("name", [artifact.MANIFEST, artifact.FEATURES, artifact.WEIGHTS, artifact.CALIBRATION])
def test_named_pipe_in_place_of_a_file_is_not_waited_for(damaged: Path, name: str) -> None:
    (damaged / name).unlink()
    os.mkfifo(damaged / name)
    with pytest.raises(ArtifactError, match=f"{name}: expected a regular file, found a named pipe"):
        Predictor.load(damaged, "cpu")
    os.mkfifo(damaged / "other_tokenizer.json")
    shutil.rmtree(damaged)


def test_file_that_was_changed_or_taken_away_is_named(run: Made, damaged: Path) -> None:
    for name in json.loads((damaged / artifact.MANIFEST).read_text("utf-8"))["files"]:
        content = (damaged / name).read_bytes()
        (damaged / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(ArtifactError, match=f"{name}: expected "):
            Predictor.load(damaged, "cpu")
        (damaged / name).unlink()
        with pytest.raises(ArtifactError, match=f"{name}: expected the file that the training wrote, found none"):
            Predictor.load(damaged, "cpu")
        (damaged / name).write_bytes(content)
    assert len(Predictor.load(damaged, "cpu").predict(run.table).frame) == run.answers
