"""The settings in the documentation are the settings of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from luban.config import RunConfig, parse

ROOT = Path(__file__).resolve().parents[2]


def documented() -> dict[str, Any]:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    return dict(yaml.safe_load(text.split("```yaml\n")[1].split("```")[0]))


def assert_complete(model: BaseModel, found: dict[str, Any], place: str) -> None:
    assert set(found) == set(type(model).model_fields), place
    for name, value in found.items():
        inner = getattr(model, name)
        if isinstance(inner, BaseModel) and isinstance(value, dict):
            assert_complete(inner, value, f"{place}.{name}")


def test_every_setting_is_documented_and_every_documented_one_is_known() -> None:
    settings = documented()
    parse(settings, "docs/settings.md")
    assert_complete(RunConfig(), settings, "settings")
