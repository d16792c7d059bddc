"""Which settings a run may go on with changed."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from luban import config as configuration
from luban.config import RunConfig
from luban.core import settings_text
from luban.core.settings import models_in
from luban.resume import FREE, settings


def names_in(model: type[BaseModel], place: str = "") -> set[str]:
    """Return the full names of the settings of a model and of those in it, whatever they may be."""
    found = set()
    for name, field in model.model_fields.items():
        found.add(f"{place}{name}")
        for inner in models_in(field.annotation):
            found |= names_in(inner, f"{place}{name}.")
    return found


def test_every_setting_decides_bits_but_for_those_with_a_reason() -> None:
    checked = dict(settings(RunConfig().model_dump(mode="json")))
    assert not set(FREE) - names_in(RunConfig)
    assert all(not any(name == free or name.startswith(f"{free}.") for free in FREE) for name in checked)
    top = {name for name in RunConfig.model_fields if name not in FREE}
    assert {name.partition(".")[0] for name in checked} == top
    for name in (
        "seed",
        "data.split.seed",
        "features.number.scaling",
        "model.dropout",
        "train.patience",
        "data.target",
    ):
        assert name in checked


def test_a_written_configuration_says_the_same_when_it_is_read_again() -> None:
    given: dict[str, Any] = {
        "model": "transformer",
        "data": {"columns": {"a.b": "text"}, "missing_values": ["x"], "split": {"method": "random"}},
        "train": {"optim": {"learning_rate": 1e-5}, "epochs": 3, "batch_size": 16},
    }
    config = configuration.parse(given, "test")
    again = configuration.parse(settings_text.read(configuration.dump(config), "test", action=""), "test")
    first, second = (dict(settings(item.model_dump(mode="json"))) for item in (config, again))
    assert first == second
    assert first["data.columns.a.b"] == "text"
