"""Several columns of text: one input of all, or one each, with encoders of their own or a shared one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import luban
from luban.core.errors import ArtifactError
from luban.core.tensors import OutputKind, OutputSpec
from luban.data.table import Table
from luban.features import schema
from luban.features.base import FitContext
from luban.features.dataset import Dataset
from luban.features.schema import FeaturesConfig, Schema
from luban.features.text.feature import TextConfig
from luban.models.choice import NetworkConfig
from luban.models.network import Network, specify

OUTPUTS = (OutputSpec("y", OutputKind.ROW, 2),)
SMALL = {"tokens": {"architecture": "lstm", "dim": 8, "hidden": 8}, "hidden": []}
ROWS = 60


def rows() -> Table:
    draw = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "round", "square", "large"])
    titles = [" ".join(draw.choice(words, 3)) for _ in range(ROWS)]
    bodies = [" ".join(draw.choice(words[::-1], 6)) + " body" for _ in range(ROWS)]
    frame = pl.DataFrame({"title": titles, "body": bodies, "label": [f"{'red' in title}" for title in titles]})
    return Table(frame, "rows", None, np.arange(1, ROWS + 1))


def fitted(columns: str) -> Schema:
    table = rows()
    plans = schema.plan(table, target="label", overrides={"title": "text", "body": "text"})
    config = FeaturesConfig(text=TextConfig(tokenizer="words", columns=columns))  # type: ignore[arg-type]
    return schema.fit(plans, table, config, FitContext())


@pytest.mark.parametrize(
    ("columns", "names", "files", "encoders"),
    [
        ("joined", ["text"], ["tokenizer.json"], 1),
        ("apart", ["title", "body"], ["tokenizer.json", "tokenizer-1.json"], 2),
        ("shared", ["title", "body"], ["tokenizer.json"], 1),
    ],
)
def test_columns_are_inputs_as_is_said(columns: str, names: list[str], files: list[str], encoders: int) -> None:
    found = fitted(columns)
    assert [feature.name for feature in found.features] == names
    assert sorted(found.files()) == sorted(files)
    again = Schema.from_state(json.loads(json.dumps(found.state())), found.files())
    assert again.specs() == found.specs()
    assert again.state() == found.state()
    network = Network(specify(NetworkConfig.model_validate(SMALL), found.specs(), OUTPUTS)).eval()
    assert len({id(encoder) for encoder in network.encoders}) == encoders
    frame = rows().frame
    inputs = {feature.name: feature.encode(frame).column for feature in found.features}
    batch = Dataset.of(found, inputs, {}).batch(np.arange(4))
    assert network(batch.inputs)["y"].shape == (4, 2)


def test_a_shared_encoder_says_the_same_of_the_same_text() -> None:
    found = fitted("shared")
    network = Network(specify(NetworkConfig.model_validate(SMALL), found.specs(), OUTPUTS)).eval()
    frame = rows().frame.with_columns(body="title")
    inputs = {feature.name: feature.encode(frame).column for feature in found.features}
    batch = Dataset.of(found, inputs, {}).batch(np.arange(4))
    vectors = [network.encoder(name)(batch.inputs[name]) for name in network.names]
    torch.testing.assert_close(vectors[0], vectors[1], rtol=0, atol=0)
    assert sum(weight.numel() for weight in network.parameters()) < sum(
        weight.numel() for weight in network.state_dict().values()
    )


@pytest.mark.parametrize("columns", ["apart", "shared"])
def test_a_run_of_them_is_stored_and_loaded(tmp_path: Path, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUBAN_CACHE", str(tmp_path / "cache"))
    settings = {
        "features": {"text": {"columns": columns}},
        "model": {"tokens": {"architecture": "lstm", "dim": 8, "hidden": 8}},
        "train": {"epochs": 2},
        "data": {"columns": {"title": "text", "body": "text"}},
        "runs": str(tmp_path / "runs"),
        "name": "run",
    }
    model = luban.train(rows().frame, target="label", quiet=True, **settings)
    frame = rows().frame.drop("label")
    expected = model.predict(frame)
    assert luban.load(tmp_path / "runs" / "run").predict(frame).equals(expected)
    changed = model.predict(frame.with_columns(body=pl.lit("large large large")))
    assert not changed.equals(expected)


def test_an_encoder_that_is_shared_with_none_is_damage() -> None:
    found = fitted("shared")
    state = found.state()
    state["features"][1]["state"]["file"] = "../tokenizer.json"
    with pytest.raises(ArtifactError, match="file: string should match pattern"):
        Schema.from_state(state, found.files())
