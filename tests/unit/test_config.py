from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from luban import config as configuration
from luban.config import dump, override, parse
from luban.core.errors import ConfigError
from luban.models.pretrained import PretrainedConfig

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False)
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)


def test_resolved_configuration_reads_back_equal() -> None:
    config = parse({"data": {"train": "a.csv"}, "model": "minilm", "train": {"epochs": 3}}, "test")
    assert parse(yaml.safe_load(dump(config)), "test") == config


@pytest.mark.parametrize(
    ("name", "slot", "architecture"),
    [
        ("lstm", "tokens", "lstm"),
        ("resnet", "grid", "resnet"),
        ("mlp", "grid", "flatten"),
        ("minilm", "tokens", "pretrained"),
    ],
)
def test_a_bare_name_stands_for_a_model(name: str, slot: str, architecture: str) -> None:
    assert getattr(parse({"model": name}, "test").model, slot).architecture == architecture


def test_a_checkpoint_needs_no_architecture() -> None:
    model = parse({"model": {"tokens": {"checkpoint": "minilm", "frozen": True}}}, "test").model
    assert isinstance(model.tokens, PretrainedConfig)
    assert model.tokens.frozen


def test_override_adds_to_a_bare_name_and_reads_values_as_yaml() -> None:
    found = override({"model": "minilm"}, ["model.dropout=0.3", "train.epochs=3", "data.columns={age: number}"])
    config = parse(found, "test")
    assert isinstance(config.model.tokens, PretrainedConfig)
    assert (config.model.dropout, config.train.epochs, config.data.columns) == (0.3, 3, {"age": "number"})


@pytest.mark.parametrize("given", ["[999, none]", "['999', none]"])
def test_cells_that_mean_missing_are_added_to_the_usual_ones(given: str) -> None:
    found = parse(override({}, [f"data.missing_values={given}"]), "test").data.missing_values
    assert found == (*parse({}, "test").data.missing_values, "999", "none")
    assert "?" in found
    assert parse(override({}, ["data.missing_values=none"]), "test").data.missing_values[-1] == "none"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trian": {}}, "'trian': expected the name of a setting, found 'trian'. Did you mean 'train'"),
        (
            {"train": {"epoch": 3}},
            "'train.epoch': expected the name of a setting, found 'epoch'. Did you mean 'epochs'",
        ),
        ({"train": {"optim": {"learning_rat": 1}}}, "Did you mean 'learning_rate'"),
        ({"train": {"epochs": "many"}}, "'train.epochs': expected a valid integer"),
        (
            {"model": "lstmm"},
            "'model': expected an architecture or a checkpoint, found 'lstmm'. Did you mean 'lstm'",
        ),
        (
            {"model": {"tokens": {"architecture": "lstmm"}}},
            "'model.tokens.architecture': expected one of 'pretrained', .* found 'lstmm'. Did you mean 'lstm'",
        ),
        ({"train": {"epochs": 0}}, "'train.epochs': expected greater than or equal to 1, found 0"),
        ({"model": {"grid": {"architecture": "vgg"}}}, "expected .*'resnet', 'lenet', 'flatten'"),
        ({"name": "../up"}, "'name': expected"),
    ],
)
def test_wrong_setting_is_named_with_what_is_right(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(settings, "run.yaml")


def test_override_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="--set: expected NAME=VALUE, found 'train.epochs'"):
        override({}, ["train.epochs"])


def test_paths_start_at_the_configuration_file(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("data: {train: data/a.csv, test: /abs/b.csv, validation: 'sample:minilm/c.csv'}\n")
    data = configuration.load(path)["data"]
    assert data == {"train": str(tmp_path / "data/a.csv"), "test": "/abs/b.csv", "validation": "sample:minilm/c.csv"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [1", "line 1: expected YAML"),
        ("- 1\n", "expected settings such as 'data:', found \\[1\\]"),
        (None, "a file that can be read"),
    ],
)
def test_file_that_is_no_configuration_is_said(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "run.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        configuration.load(path)


@settings(max_examples=50, deadline=None)
@given(TREES)
def test_any_tree_of_settings_is_taken_or_refused_in_one_sentence(tree: object) -> None:
    sentence = ""
    try:
        parse(tree if isinstance(tree, dict) else {}, "test")
    except ConfigError as error:
        sentence = str(error)
    assert "\n" not in sentence
