"""What the user says of the data."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.settings import LARGEST, MOST_ROWS, Settings, Word
from luban.core.strict import first_of
from luban.data.decimals import Decimal
from luban.data.split.config import SplitConfig

MISSING_VALUES = ("?", "NA", "N/A", "n/a", "null", "NULL", "None", "-")
MOST_MISSING = 1_000
MOST_TARGETS = 100


class DataConfig(Settings):
    """Where the data are and how to read them.

    train, validation, test: a path, or `sample:NAME/FILE`; relative paths start at the configuration file.
    decimal: what stands before the decimals of numbers in text; recognised, as separator and encoding are, if None.
    sheet: of a workbook of several; the first that is not empty if None.
    target: a column, or several that are learned together. columns: kind by column, over what would be inferred;
    `ignore` leaves a column out. task: likewise, of all targets, or by target.
    missing_values: cells that mean 'missing' in columns of numbers and dates, beside the empty cell and those that
    usually do, which are always among them.
    audit_seconds: that a training may wait for the audit, by estimate; at 0 only the checks that take no time run.
    max_rows: train on so many rows, drawn at random (by the same draw as pandas' `sample(max_rows, random_state=0)`).
    """

    train: str | None = None
    validation: str | None = None
    test: str | None = None
    target: Word | Annotated[tuple[Word, ...], Field(min_length=1, max_length=MOST_TARGETS)] | None = None
    task: str | dict[str, str] | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    missing_values: tuple[str, ...] = Field(MISSING_VALUES, max_length=MOST_MISSING)
    separator: str | None = None
    decimal: Decimal | None = None
    encoding: str | None = None
    sheet: Word | None = None
    audit_seconds: float = Field(5.0, ge=0, le=LARGEST)
    max_rows: int | None = Field(None, ge=1, le=MOST_ROWS)
    split: SplitConfig = SplitConfig()

    @field_validator("missing_values", mode="before")
    @classmethod
    def _added(cls, value: Any) -> Any:
        """Take one for a list of one, and numbers for what their cells hold, as YAML reads them."""
        values = value if isinstance(value, (list, tuple)) else [value]
        texts = [
            str(item) if isinstance(item, (int, float)) and not isinstance(item, bool) else item for item in values
        ]
        return (*MISSING_VALUES, *(item for item in texts if item not in MISSING_VALUES))


def data_settings(run: RunDirectory) -> DataConfig:
    """Return how a run read its data. Raises ArtifactError where the configuration is damaged."""
    try:
        return DataConfig.model_validate(run.read_settings().get("data"))
    except ValidationError as error:
        where = run / artifact.CONFIG
        raise artifact.damaged(where, "the settings of the data of a run", ValueError(first_of(error))) from error
