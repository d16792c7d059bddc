"""The fitted columns of a table: which features it has, and what is set aside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field

from luban.core.artifact import FEATURES
from luban.core.errors import ArtifactError, SchemaError, listed, nearest
from luban.core.sentence import sentence
from luban.core.settings import Settings
from luban.core.strict import Strict, checked
from luban.core.tensors import InputSpec
from luban.data.decimals import Decimal
from luban.data.table import Table
from luban.features.audio import AudioConfig
from luban.features.base import Feature, FeatureConfig, FitContext
from luban.features.category import CategoryConfig, CategoryFeature
from luban.features.date import DateConfig
from luban.features.image import ImageConfig
from luban.features.infer import (
    KINDS,
    ColumnPlan,
    is_mostly_cjk,
    plan,
    profile,
    require_inputs,
    tensor_kinds,
)
from luban.features.labels import LabelsConfig, LabelsFeature
from luban.features.number import NumberConfig, NumberFeature
from luban.features.parsing import columns as written
from luban.features.parsing.numbers import Writing
from luban.features.sequence import SequenceConfig
from luban.features.text.columns import TEXT, fit_texts
from luban.features.text.feature import TextConfig

__all__ = [
    "ColumnPlan",
    "FeaturesConfig",
    "Schema",
    "fit",
    "is_mostly_cjk",
    "plan",
    "profile",
    "require_inputs",
    "tensor_kinds",
]


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"expected one of the kinds {listed(KINDS, limit=20)}, found '{kind}'")
    return kind


class FeaturesConfig(Settings):
    """Settings by kind of column."""

    number: NumberConfig = NumberConfig()
    category: CategoryConfig = CategoryConfig()
    date: DateConfig = DateConfig()
    labels: LabelsConfig = LabelsConfig()
    text: TextConfig = TextConfig()
    image: ImageConfig = ImageConfig()
    audio: AudioConfig = AudioConfig()
    sequence: SequenceConfig = SequenceConfig()


class StoredFeature(Strict):
    kind: Annotated[str, AfterValidator(_known)]
    state: dict[str, Any]


class StoredWriting(Strict):
    decimal: Decimal
    unit: str
    example: str


class StoredSchema(Strict):
    """What features.json holds."""

    features: list[StoredFeature]
    set_aside: dict[str, str]
    target: str | list[str] | None
    writings: dict[str, StoredWriting] = Field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Schema:
    """features: one an input of the network. set_aside: column -> reason. writings: how the numbers of each column
    were written, those of the target among them. target: what the features are for, or a list of several."""

    features: tuple[Feature, ...]
    set_aside: dict[str, str]
    target: str | list[str] | None
    writings: dict[str, Writing] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """All input columns."""
        return tuple(column for feature in self.features for column in feature.columns)

    def specs(self) -> list[InputSpec]:
        return [feature.spec() for feature in self.features]

    def state(self) -> dict[str, Any]:
        features = [{"kind": feature.kind, "state": feature.state()} for feature in self.features]
        writings = {column: writing.state() for column, writing in self.writings.items()}
        return {"features": features, "set_aside": self.set_aside, "target": self.target, "writings": writings}

    def files(self) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        for feature in self.features:
            for name, content in feature.files().items():
                assert files.setdefault(name, content) == content, "two features write the same file"
        return files

    @classmethod
    def from_state(cls, state: dict[str, Any], files: dict[str, bytes]) -> Self:
        """Raises ArtifactError where the state is damaged, or was written by a version that knew other kinds."""
        place = ""
        try:
            stored = checked(StoredSchema, state)
            features = []
            for number, item in enumerate(stored.features):
                place = f"features.{number}.state."
                features.append(KINDS[item.kind].from_state(item.state, files))
        except ValueError as error:
            raise ArtifactError(
                FEATURES,
                expected="the fitted columns of a run",
                found=f"something else ({place}{error})",
                action="Use the version of Luban that wrote the run, or copy the run directory again",
            ) from error
        writings = {column: Writing(**own.model_dump()) for column, own in stored.writings.items()}
        return cls(tuple(features), stored.set_aside, stored.target, writings)

    def suited(self, table: Table) -> Self:
        """Return the schema as it reads the cells of one table, those of a part of its rows too."""
        return replace(self, features=tuple(feature.suited(table.frame) for feature in self.features))

    def as_trained(
        self, table: Table, labels: Mapping[str, Sequence[str]] | None = None
    ) -> tuple[Table, tuple[str, ...]]:
        """Return other rows with their cells written as those of the training were, and what was read otherwise than it
        stands, a sentence each. labels: by target, of those that have any."""
        numbers = [feature for feature in self.features if isinstance(feature, NumberFeature)]
        categories = [feature for feature in self.features if isinstance(feature, CategoryFeature)]
        values = {feature.columns[0]: feature.values for feature in categories}
        values |= {target: tuple(own) for target, own in (labels or {}).items() if own}
        found = written.as_trained(
            table,
            {feature.columns[0]: Writing() for feature in numbers} | self.writings,
            values,
            {marker for feature in numbers for marker in feature.missing_values},
        )
        return found.table, found.notes

    def check(self, table: Table) -> list[str]:
        """Return what is unusual in a table, one sentence each. Raises SchemaError where an input column is not there;
        other columns are ignored, in any order."""
        missing = [column for column in self.columns if column not in table.names]
        if missing:
            raise SchemaError(
                table.name,
                expected=f"the columns that the model was trained on, {listed(self.columns)}",
                found=f"no {listed(missing)}",
                action=f"{_nearest_unused(missing[0], table, self.columns)}Add or rename the columns",
            )
        notes = [note for feature in self.features if (note := _unseen(feature, table))]
        return [*notes, *(note for feature in self.features for note in feature.remarks(table.frame))]


def fit(
    plans: Collection[ColumnPlan],
    table: Table,
    configs: FeaturesConfig,
    context: FitContext,
    writings: Mapping[str, Writing] | None = None,
) -> Schema:
    """Fit features on training rows: all text columns are one input, if not said otherwise, every other column is one
    of its own.

    writings: that the columns of numbers had before they were written plainly.
    """
    texts = [column.name for column in plans if column.kind == TEXT]
    names = {name: name for name in texts}
    of_text = fit_texts(names, table.frame, configs.text, context) if texts else {}
    are_joined = any(feature.name == TEXT for feature in of_text.values())
    features: list[Feature] = []
    for column in plans:
        if not column.is_input:
            continue
        if column.kind == TEXT:
            features += [of_text[column.name]] if column.name in of_text else []
            continue
        name, columns = _input_name(column.name, table, are_joined), (column.name,)
        config: FeatureConfig = getattr(configs, KINDS[column.kind].settings or column.kind)
        features.append(KINDS[column.kind].fit(name, columns, table.frame, config, context))
    planned = {column.name for column in plans}
    targets = [name for name in table.columns if name not in planned]  # a plan covers every column but the target
    set_aside: dict[str, str] = {column.name: column.reason for column in plans if not column.is_input}
    target = targets[0] if len(targets) == 1 else targets or None
    return Schema(tuple(features), set_aside, target, dict(writings or {}))


def _input_name(column: str, table: Table, has_text: bool) -> str:
    """The column's own name; a column that is called 'text' but is none makes way."""
    name = column
    while has_text and (name == TEXT or (name != column and name in table.names)):
        name += "_"
    return name


def _nearest_unused(missing: str, table: Table, columns: tuple[str, ...]) -> str:
    used = set(columns)
    return nearest(missing, [name for name in table.columns if name not in used])


def _unseen(feature: Feature, table: Table) -> str:
    if not isinstance(feature, CategoryFeature | LabelsFeature):
        return ""
    unseen = feature.num_unseen(table.frame)
    if not unseen:
        return ""
    return sentence(
        "schema.unseen",
        "column '{column}': {unseen} of {rows} rows hold a value that was rare or unseen in training",
        column=feature.columns[0],
        unseen=unseen,
        rows=len(table),
    )
