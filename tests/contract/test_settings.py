"""Every setting takes what it can honour, and refuses everything else in one sentence, before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import polars as pl
import pytest
from pydantic import BaseModel

from luban import config as configuration
from luban.config import RunConfig
from luban.core import settings_text
from luban.core.errors import ConfigError, LubanError
from luban.core.settings import models_in
from luban.core.shown import LONGEST, is_safe
from luban.core.tensors import InputSpec, OutputKind, OutputSpec, TensorKind
from luban.data import sources
from luban.data.table import Table
from luban.features import schema
from luban.features.base import FitContext
from luban.models import network as networks
from luban.models.choice import complete
from luban.training import recipe

Path = tuple[str, ...]


def bomb(depth: int = 12) -> list[Any]:
    """Return a list that is made of few objects and would be written as ten to the power of its depth."""
    value: list[Any] = ["lol"] * 10
    for _ in range(depth):
        value = [value] * 10
    return value


NUMBERS = [0, -1, 1, 2, 2**32, 10**23, -(10**23), 10**5000, 0.5, -0.5, 1e308, -1e308, 1e-308]
TEXTS = ["", "x", "1", "\x1b[2J", "9" * 5000, b"\x00"]
OTHERS = [float("nan"), float("inf"), float("-inf"), True, False, None]
LISTS = [[], [0], [-1], [1], [True], [1e308], [10**23] * 3, ["x"], [1] * 2_000, bomb()]
MAPPINGS = [{}, {"x": -1}, {"x": 1}, {1: 1}, {"x": "y"}, {"x": bomb()}]
VALUES = [*NUMBERS, *TEXTS, *OTHERS, *LISTS, *MAPPINGS]


def leaves(model: type[BaseModel], path: Path = ()) -> Iterator[tuple[Path, dict[Path, str]]]:
    """Yield the path of each setting, and which architectures it takes for there to be such a setting."""
    for name, field in model.model_fields.items():
        yield (*path, name), {}
        for inner in models_in(field.annotation):
            architecture = inner.model_fields.get("architecture")
            chosen = {} if architecture is None else {(*path, name, "architecture"): architecture.default}
            for below, needed in leaves(inner, (*path, name)):
                yield below, chosen | needed


LEAVES = [(path, needed) for path, needed in leaves(RunConfig) if path[-1] != "architecture"]
NAMES = [".".join([*needed.values(), *path]) for path, needed in LEAVES]


def settings_with(path: Path, value: Any, needed: dict[Path, str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    places: dict[Path, Any] = {**needed, path: value}
    if "pretrained" in needed.values():
        places = {("model", "tokens", "checkpoint"): "minilm", **places}
    for place, content in places.items():
        inside = settings
        for name in place[:-1]:
            inside = inside.setdefault(name, {})
        inside[place[-1]] = content
    return settings


def test_settings_of_all_stages_are_found() -> None:
    assert {"seed", "train.optim.learning_rate", "transformer.model.tokens.heads", "features.text.max_length"} <= set(
        NAMES
    )
    assert len(LEAVES) > 100


def test_every_number_has_bounds() -> None:
    def unbounded(content: Any, place: str) -> Iterator[str]:
        if isinstance(content, dict):
            is_bounded = {"maximum", "exclusiveMaximum"} & set(content) and {"minimum", "exclusiveMinimum"} & set(
                content
            )
            if content.get("type") in ("integer", "number") and not is_bounded and "enum" not in content:
                yield place
            for name, inner in content.items():
                yield from unbounded(inner, f"{place}/{name}")
        elif isinstance(content, list):
            for position, inner in enumerate(content):
                yield from unbounded(inner, f"{place}/{position}")

    assert list(unbounded(RunConfig.model_json_schema(), "")) == []


INPUTS = {
    ("model", "tokens"): InputSpec("text", TensorKind.TOKENS, 300, max_length=16),
    ("model", "grid"): InputSpec("image", TensorKind.GRID, 3, height=16, width=16),
    ("model", "frames"): InputSpec("sound", TensorKind.FRAMES, 4, max_length=16),
}


@cache
def table() -> Table:
    rows = range(40)
    columns = {
        "n": [float(row % 7) for row in rows],
        "c": ["abc"[row % 3] for row in rows],
        "l": [["x", "y"][: row % 3] for row in rows],
        "t": [f"word{row % 5} more" for row in rows],
    }
    return sources.read(pl.DataFrame(columns))


def build(config: RunConfig, path: Path) -> None:
    """Go on with settings that were taken, up to where memory would be taken for a network."""
    inputs = [InputSpec("numbers", TensorKind.DENSE, 3)]
    if path[:2] in INPUTS:
        inputs.append(INPUTS[path[:2]])
    if path[0] == "features":
        plans = schema.plan(table(), target="n", overrides={"t": "text", "l": "labels"}, missing_values=())
        schema.fit(plans, table(), config.features, FitContext())
    model, _ = complete(config.model, {item.kind for item in inputs}, chinese=False)
    if model.tokens is None or model.tokens.architecture != "pretrained":
        spec = networks.specify(model, inputs, (OutputSpec("y", OutputKind.ROW, 2),))
        networks.check_memory(spec, 2 * 10**9)
        recipe.complete(config.train, spec, 100, 16)


def message_of(function: Callable[[], Any]) -> str:
    """Return the one sentence in which a function refuses what it is given, nothing where it does not."""
    try:
        function()
    except LubanError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("path", "needed"), LEAVES, ids=NAMES)
def test_a_setting_is_honoured_or_refused_in_one_sentence(path: Path, needed: dict[Path, str]) -> None:
    for value in VALUES:
        given = settings_with(path, value, needed)
        message = message_of(partial(configuration.parse, given, "settings"))
        if message:
            assert path[-1] in message
        else:
            config = configuration.parse(given, "settings")
            text = configuration.dump(config)
            assert configuration.parse(settings_text.read(text, "again", action=""), "again") == config
            message = message_of(partial(build, config, path))
        assert len(message) < 3 * LONGEST
        assert is_safe(message)


@pytest.mark.parametrize("setting", ["train.epochs=true", "model.dropout=false", "model.hidden=[true]", "seed=true"])
def test_true_is_no_number(setting: str) -> None:
    settings = configuration.override({}, [setting])
    with pytest.raises(ConfigError, match=f"'{setting.split('=')[0]}': expected a number, found true or false"):
        configuration.parse(settings, "settings")
