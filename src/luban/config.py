"""The whole configuration of a run: composes the stages' own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from luban.core import settings_text
from luban.core.errors import ConfigError, nearest
from luban.core.settings import Seed, Settings, Word, models_in, truth_values
from luban.core.shown import brief
from luban.data import samples
from luban.data.config import DataConfig
from luban.data.split.config import ROLES
from luban.evaluation.config import EvaluateConfig
from luban.features.schema import FeaturesConfig
from luban.models.choice import NetworkConfig, expand_name
from luban.report.trackers.tracking import TrackerName
from luban.tasks.config import TaskConfig
from luban.training.recipe import TrainConfig


class RunConfig(Settings):
    """Everything that decides a run. runs: the folder for run directories. name: of the run; None takes the data's.
    track: experiment trackers that are written to. lang: of the report."""

    name: Word | None = Field(None, pattern=r"^[^/\\\x00.][^/\\\x00]*$")
    runs: str = "runs"
    seed: Seed = 0
    device: str = "auto"
    track: tuple[TrackerName, ...] = Field((), max_length=8)
    lang: Literal["en", "zh"] = "en"
    data: DataConfig = DataConfig()
    task: TaskConfig = TaskConfig()
    features: FeaturesConfig = FeaturesConfig()
    model: NetworkConfig = NetworkConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()


def load(path: Path) -> dict[str, Any]:
    """Read a configuration file. Paths of data in it start at its folder."""
    content = settings_text.read_file(path)
    if not isinstance(content, dict):
        raise ConfigError(str(path), expected="settings such as 'data:'", found=brief(content), action="Mend the file")
    data = content.get("data")
    if isinstance(data, dict):
        for role in ROLES:
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
                "--set", expected="NAME=VALUE", found=brief(assignment), action="Write it like --set train.epochs=3"
            )
        place = settings
        *parents, last = key.split(".")
        for parent in parents:
            child = place.get(parent)
            if parent == "model" and isinstance(child, str):
                child = expand_name(child)
            place[parent] = child if isinstance(child, dict) else {}
            place = place[parent]
        place[last] = settings_text.read(value, f"--set {key}", action=f"Quote it: --set \"{key}='...'\"")
    return settings


def parse(settings: dict[str, Any], where: str) -> RunConfig:
    """Check settings. Raises ConfigError that names the first wrong one, and the nearest right name."""
    for path in truth_values(RunConfig, settings):
        raise ConfigError(
            f"{where}, '{'.'.join(path)}'",
            expected="a number",
            found="true or false",
            action="Correct the setting",
        )
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        paths = [_path_of(wrong, settings) for wrong in errors]
        # What may be of several kinds has an error for each: the one that is meant has the deepest.
        inside = [place for place, path in enumerate(paths) if path[: len(paths[0])] == paths[0]]
        deepest = max(inside, key=lambda place: len(paths[place]))
        first, names = errors[deepest], paths[deepest]
        place = ".".join(names)
        if first["type"] == "extra_forbidden":
            known = _fields_at(RunConfig, first["loc"][:-1])
            raise ConfigError(
                f"{where}, '{place}'",
                expected="the name of a setting",
                found=brief(names[-1]),
                action=f"{nearest(names[-1][:100], known)}Known here: {', '.join(known)}",
            ) from error
        if first["type"] == "union_tag_invalid":  # whose message names pydantic's own terms
            tag, tags = str(first["ctx"]["tag"]), str(first["ctx"]["expected_tags"])
            raise ConfigError(
                f"{where}, '{place}.architecture'",
                expected=f"one of {tags}",
                found=brief(tag),
                action=f"{nearest(tag[:100], tags.replace(chr(39), '').split(', '))}Correct the setting",
            ) from error
        wrong = [_expected(other) for other, path in zip(errors, paths, strict=True) if path == names]
        expected, hints = [text for text, _ in wrong], [hint for _, hint in wrong if hint]
        raise ConfigError(
            f"{where}, '{place}'",
            expected=" or ".join(dict.fromkeys(expected)),
            found=brief(first.get("input")),
            action=f"Did you mean {hints[0]} Correct the setting" if hints else "Correct the setting",
        ) from error


def _path_of(error: Any, settings: Any) -> list[str]:
    """Return where an error is, without the kinds of a setting that pydantic names on the way."""
    path: list[str] = []
    for part in error["loc"]:
        inside = part in settings if isinstance(settings, dict) else isinstance(part, int)
        if isinstance(settings, (dict, list, tuple)) and not inside and error["type"] != "missing":
            continue
        is_kind = part == "[key]" or str(part).startswith(("literal[", "dict[", "tuple[", "constrained-", "function-"))
        if is_kind and not inside:
            continue
        path.append(brief(part).strip("'") if isinstance(part, str) else str(part))
        try:
            settings = settings[part]
        except (KeyError, IndexError, TypeError):
            settings = None
    return path


def _expected(error: Any) -> tuple[str, str]:
    """Return what pydantic would have, and what it thinks was meant."""
    expected, _, hint = error["msg"].partition(" Did you mean ")
    said = expected.removeprefix("Input should be ").removeprefix("Value error, ").rstrip(".")
    said = re.sub(r"\w+ should have at least (\d+) items? after validation, not \d+", r"at least \1", said)
    return said.replace("a valid tuple", "a list"), hint


def _fields_at(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Return the settings known at a place; the union members that pydantic names in it are skipped."""
    models = [model]
    for part in loc:
        fields = [m.model_fields[str(part)].annotation for m in models if str(part) in m.model_fields]
        models = [found for field in fields for found in models_in(field)] or models
    names = {name for m in models for name in m.model_fields}
    return sorted(names)


def dump(config: RunConfig) -> str:
    """Return the configuration as YAML."""
    return settings_text.written(config.model_dump(mode="json"))
