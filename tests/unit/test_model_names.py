"""Names of models: what `--model` takes, and what reports print."""

from __future__ import annotations

from pathlib import Path

import pytest

from luban.config import parse
from luban.core.errors import ConfigError
from luban.core.tensors import TensorKind
from luban.models.choice import SLOTS, NetworkConfig, complete
from luban.report.content import Content
from luban.report.sections.verdict import architecture

DENSE, IDS, TOKENS = TensorKind.DENSE, TensorKind.IDS, TensorKind.TOKENS
GRID, FRAMES = TensorKind.GRID, TensorKind.FRAMES


def chosen(model: object, *kinds: TensorKind) -> NetworkConfig:
    return complete(parse({"model": model}, "test").model, set(kinds), chinese=False)[0]


def printed(model: NetworkConfig) -> str:
    config = {"model": model.model_dump(mode="json")}
    return architecture(Content(Path("runs/a"), config, {}, {}, {}, {}, {}, (), ()))


@pytest.mark.parametrize("name", ["mlp", "dense", "embedding"])
@pytest.mark.parametrize("kinds", [(DENSE,), (IDS,), (DENSE, IDS)])
def test_a_plain_table_takes_an_mlp_by_name(name: str, kinds: tuple[TensorKind, ...]) -> None:
    model = chosen(name, *kinds)
    assert model == chosen({}, *kinds)
    assert (model.hidden, model.grid, printed(model)) == ((256, 128), None, "mlp")


@pytest.mark.parametrize(
    ("model", "kinds", "shown"),
    [
        ({}, (TOKENS,), "minilm"),
        ({}, (TOKENS, GRID, DENSE), "minilm, resnet"),
        ({}, (GRID, FRAMES), "resnet, gru"),
        ({}, (TOKENS, FRAMES), "minilm, gru"),
        ("mlp", (GRID,), "mlp"),
        ("mlp", (GRID, DENSE), "mlp"),
        ("flatten", (GRID,), "flatten"),
        ("lenet", (GRID,), "lenet"),
        ("lstm", (TOKENS, FRAMES), "lstm"),
        ("transformer", (TOKENS, IDS), "transformer"),
        ("textcnn", (TOKENS,), "textcnn"),
        ({"grid": {"architecture": "resnet"}, "frames": {"architecture": "lstm"}}, (GRID, FRAMES), "resnet, lstm"),
        (
            {"tokens": {"architecture": "gru"}, "frames": {"architecture": "lstm"}},
            (TOKENS, FRAMES),
            "gru, lstm",
        ),
    ],
)
def test_a_printed_name_is_accepted_and_names_the_same_model(
    model: object, kinds: tuple[TensorKind, ...], shown: str
) -> None:
    first = chosen(model, *kinds)
    assert printed(first) == shown
    unused = {slot: None for slot, kind in SLOTS.items() if kind not in kinds}
    again = chosen(printed(first), *kinds)
    assert again.model_copy(update=unused) == first.model_copy(update=unused)


@pytest.mark.parametrize(
    ("model", "kinds", "found"),
    [
        ("mlp", (TOKENS,), "one for 'dense', 'grid', 'ids'"),
        ("dense", (FRAMES,), "one for 'dense', 'grid', 'ids'"),
        ("lstm", (DENSE,), "one for 'frames', 'tokens'"),
        ({"tokens": {"architecture": "lstm"}, "hidden": [8]}, (DENSE,), "one for 'tokens'"),
    ],
)
def test_a_model_that_fits_no_column_is_refused(model: object, kinds: tuple[TensorKind, ...], found: str) -> None:
    with pytest.raises(ConfigError) as error:
        chosen(model, *kinds)
    assert found in str(error.value)


@pytest.mark.parametrize("name", ["resnet, lenet", "lstm, gru, textcnn"])
def test_two_models_for_one_kind_of_input_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="none is left for"):
        parse({"model": name}, "test")
