"""How the rows are divided, as a person sets it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from luban.core.errors import ConfigError, listed
from luban.core.settings import Seed, Settings, Word
from luban.data.table import Table

Method = Literal["auto", "random", "stratified", "group", "time", "column", "none"]

ROLES = ("train", "validation", "test")  # of the parts that rows are divided into, and of tables beside each other
BY_COLUMN = ("group", "time", "column")


class SplitConfig(Settings):
    """How the rows are divided.

    method: `auto` is stratified for classes and random otherwise; `none` scores on the training rows. validation,
    test: shares of the rows. column: of the groups, of the time, or of the words train, validation and test. until:
    of method `time`, the moments at which training, validation and test rows end, the last of them as well as the
    others left out of their part; rows after the last are left out. seed: of the draw; None takes the run's.
    shared_files: rows that share an image or a sound stay in one part, as long as enough is left to divide; where a
    method is named and this is not, they are parted as it says.
    """

    method: Method = "auto"
    validation: float = Field(default=0.1, ge=0, lt=1)
    test: float = Field(default=0.1, ge=0, lt=1)
    column: Word | None = None
    until: tuple[Word, ...] | None = Field(None, min_length=2, max_length=3)
    seed: Seed | None = None
    shared_files: Literal["together", "apart"] = "together"

    @model_validator(mode="before")
    @classmethod
    def _keep_what_is_named(cls, values: Any) -> Any:
        if isinstance(values, dict) and "method" in values and "shared_files" not in values:
            return values | {"shared_files": "apart"}
        return values


def check(table: Table, config: SplitConfig, stratify: bool) -> None:
    """Raise ConfigError where settings contradict each other or the data. stratify: the target has classes."""
    if config.validation + config.test >= 1:
        raise ConfigError(
            "data.split",
            expected="validation and test to leave rows for training",
            found=f"{config.validation} and {config.test}",
            action="Lower one of them",
        )
    if config.method == "stratified" and not stratify:
        raise ConfigError(
            "data.split.method",
            expected="a target with classes",
            found="'stratified'",
            action="Use random, group or time",
        )
    if (config.method in BY_COLUMN) != (config.column is not None):
        needed = f"the name of a column for data.split.method={config.method}"
        raise ConfigError(
            "data.split.column",
            expected=f"no column for data.split.method={config.method}" if config.column else needed,
            found=f"'{config.column}'" if config.column else "none",
            action=f"Set data.split.method to one of {listed(BY_COLUMN)}" if config.column else "Set data.split.column",
        )
    if config.until is not None and config.method != "time":
        raise ConfigError(
            "data.split.until",
            expected="data.split.method=time, whose parts end at these moments",
            found=f"'{config.method}'",
            action="Set the method, or leave the moments out",
        )
    if config.column is not None:
        table.require(config.column, "data.split.column")
