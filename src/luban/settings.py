"""Settings as a person gives them: a file, options of a command, arguments of a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luban import config as configuration
from luban.config import RunConfig
from luban.core.errors import ConfigError
from luban.core.paths import as_path
from luban.core.shown import brief
from luban.data import samples
from luban.data.split.config import ROLES
from luban.models.choice import expand_name

if TYPE_CHECKING:
    pass


CONFIG_SUFFIXES = (".yaml", ".yml")


def settings_of(source: str | Path) -> dict[str, Any]:
    """Return the settings in a configuration file, or those that name a data source."""
    path = Path(source)
    if path.suffix in CONFIG_SUFFIXES:
        return configuration.load(path)
    return {"data": {"train": str(source)}}


def settings_with(
    source: str, options: Mapping[tuple[str, ...], Any], assignments: Sequence[str]
) -> tuple[dict[str, Any], str]:
    """Return the settings of a source with those of the command line over them, and where they are from, for messages.

    options: by path; None where one is not given. assignments: like `train.epochs=3`.
    """
    settings = settings_of(source)
    for path, value in options.items():
        if value is not None:
            place(settings, path, value)
    configuration.override(settings, assignments)
    return settings, source if source.endswith(CONFIG_SUFFIXES) else "settings"


def place(settings: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value at a path of nested settings; a dict is merged into what is there."""
    *parents, last = path
    for parent in parents:
        child = settings.get(parent)
        if parent == "model" and isinstance(child, str):
            child = expand_name(child)
        if child is None:
            child = {}
        if not isinstance(child, dict):
            raise ConfigError(
                f"'{parent}'", expected="settings by name", found=brief(child), action="Write it as a mapping"
            )
        settings[parent] = child
        settings = child
    if isinstance(value, dict) and isinstance(settings.get(last), dict):
        for key, item in value.items():
            place(settings[last], [key], item)
    else:
        settings[last] = value


def located(config: RunConfig) -> RunConfig:
    """Make the paths of the data absolute, so that the resolved configuration repeats the run from anywhere."""
    paths = {role: path for role in ROLES if (path := getattr(config.data, role)) and not samples.is_reference(path)}
    absolute = {role: str(as_path(path).absolute()) for role, path in paths.items()}
    return config.model_copy(update={"data": config.data.model_copy(update=absolute)})


def sources_of(config: RunConfig) -> dict[str, object]:
    """Return the paths of the data that are set, by role."""
    return {role: path for role in ROLES if (path := getattr(config.data, role)) is not None}


def required_source(config: RunConfig) -> str:
    """Return the training source of a configuration. Raises ConfigError where none is set."""
    if config.data.train is None:
        raise ConfigError(
            "data.train", expected="the path of the training data", found="nothing", action="Set data.train"
        )
    return config.data.train
