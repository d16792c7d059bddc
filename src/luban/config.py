"""The whole configuration of a run: composes the stages' own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from luban.core.errors import ConfigError, nearest
from luban.data import samples
from luban.data.config import DataConfig
from luban.evaluation.config import EvaluateConfig
from luban.features.schema import FeaturesConfig
from luban.models.network import NetworkConfig, expand_name
from luban.report.tracking import TrackerName
from luban.tasks.positive import TaskConfig
from luban.training.recipe import TrainConfig


class RunConfig(BaseModel):
    """Everything that decides a run. runs: the folder for run directories. name: of the run; None takes the data's.
    track: experiment trackers that are written to. lang: of the report."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(None, pattern=r"^[^/\\\x00.][^/\\\x00]*$")
    runs: str = "runs"
    seed: int = Field(0, ge=0)
    device: str = "auto"
    track: list[TrackerName] = []
    lang: Literal["en", "zh"] = "en"
    data: DataConfig = DataConfig()
    task: TaskConfig = TaskConfig()
    features: FeaturesConfig = FeaturesConfig()
    model: NetworkConfig = NetworkConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()


def load(path: Path) -> dict[str, Any]:
    """Read a configuration file. Paths of data in it start at its folder."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), expected="a readable file", found=f"'{error}'", action="Check the path") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ConfigError(
            f"{path}{line}",
            expected="YAML",
            found=f"a mistake ({getattr(error, 'problem', error)})",
            action="Mend the file",
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(
            str(path), expected="settings such as 'data:'", found=f"{type(content).__name__}", action="Mend the file"
        )
    data = content.get("data")
    if isinstance(data, dict):
        for role in ("train", "validation", "test"):
            if isinstance(data.get(role), str):
                data[role] = _relative_to(path.parent, data[role])
    return content


def _relative_to(folder: Path, reference: str) -> str:
    if reference.startswith("~") or Path(reference).is_absolute():
        return reference
    return reference if samples.is_reference(reference, folder) else str(folder / reference)


def override(settings: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Apply `train.epochs=3` and the like; values are read as YAML."""
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise ConfigError(
                "--set", expected="NAME=VALUE", found=f"'{assignment}'", action="Write it like --set train.epochs=3"
            )
        place = settings
        *parents, last = key.split(".")
        for parent in parents:
            child = place.get(parent)
            if parent == "model" and isinstance(child, str):
                child = expand_name(child)
            place[parent] = child if isinstance(child, dict) else {}
            place = place[parent]
        try:
            place[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(
                f"--set {key}",
                expected="a YAML value",
                found=f"'{value}'",
                action=f"Quote it: --set \"{key}='{value}'\"",
            ) from error
    return settings


def parse(settings: dict[str, Any], where: str) -> RunConfig:
    """Check settings. Raises ConfigError that names the first wrong one, and the nearest right name."""
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = _fields_at(RunConfig, first["loc"][:-1])
            raise ConfigError(
                f"{where}, '{place}'",
                expected="the name of a setting",
                found=f"'{first['loc'][-1]}'",
                action=f"{nearest(str(first['loc'][-1]), known)}Known here: {', '.join(known)}",
            ) from error
        if first["type"] == "union_tag_invalid":  # whose message names pydantic's own terms
            tag, tags = str(first["ctx"]["tag"]), str(first["ctx"]["expected_tags"])
            raise ConfigError(
                f"{where}, '{place}.architecture'",
                expected=f"one of {tags}",
                found=f"'{tag}'",
                action=f"{nearest(tag, tags.replace(chr(39), '').split(', '))}Correct the setting",
            ) from error
        expected, _, hint = first["msg"].partition(" Did you mean ")
        raise ConfigError(
            f"{where}, '{place}'",
            expected=expected.removeprefix("Input should be ").removeprefix("Value error, ").rstrip("."),
            found=repr(first.get("input"))[:80],
            action=f"Did you mean {hint} Correct the setting" if hint else "Correct the setting",
        ) from error


def _fields_at(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Return the settings known at a place; the union members that pydantic names in it are skipped."""
    models = [model]
    for part in loc:
        fields = [m.model_fields[str(part)].annotation for m in models if str(part) in m.model_fields]
        models = [found for field in fields for found in _models_in(field)] or models
    names = {name for m in models for name in m.model_fields}
    return sorted(names)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _models_in(inner)]


def dump(config: RunConfig) -> str:
    """Return the configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
