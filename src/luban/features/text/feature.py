"""Columns of text: TOKENS, all text columns of a table as one input, or each as one of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field

from luban.core.errors import ArtifactError, CheckpointError, ConfigError
from luban.core.regular import is_regular, read_regular
from luban.core.sentence import Sentence, sentence
from luban.core.strict import NotNegative, Share, arguments
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext
from luban.features.cells import cjk_share, strings
from luban.features.identifier import is_nearly_unique
from luban.features.learned import clauses
from luban.features.text.prose import Prose
from luban.features.text.tokenizer import Method, TextEncoder, Texts, train

DEFAULT_MAX_LENGTH = 256
MOST_TOKENS = 1_000_000  # of a row
CHARACTERS_A_TOKEN = 32  # a cell is cut to max_length * 32 characters first: a huge one costs no more than a long one
CJK_SHARE = 0.5  # from here on a text is mostly Chinese or Japanese: a character is a token
SLICED_CELLS = 8_192
TRAINING_CELLS, TRAINING_BYTES = 200_000, 32 * 2**20  # a vocabulary hardly changes with more
MEASURED_ROWS = 1_000
TOKENIZER_FILE = "tokenizer.json"


class TextConfig(FeatureConfig):
    """tokenizer: `auto` takes the pretrained model's, or trains one: `characters` for mostly Chinese or Japanese text,
    byte-level `bpe` for all other. vocab_size: of a trained one. max_length: in tokens, separators included; None is
    256, or the pretrained model's longest input where that is less. lowercase: None does so in a trained one.

    columns: several are `joined` to one input, a pair of texts; or each is an input of its own, with an encoder of its
    own (`apart`), or with one encoder and vocabulary for all (`shared`).
    """

    tokenizer: Literal["auto", "bpe", "words", "characters"] = "auto"
    vocab_size: int = Field(default=8_000, ge=300, le=1_000_000)
    max_length: int | None = Field(default=None, ge=8, le=MOST_TOKENS)
    lowercase: bool | None = None
    columns: Literal["joined", "apart", "shared"] = "joined"


@dataclass(frozen=True, eq=False)
class TextFeature(Feature):
    """One column is a text a row; two are a pair; of more, the first is paired with the others joined.

    tokenizer: `pretrained`, or how it was trained. mean_length, cut_share: tokens a row before it is cut, and the share
    of rows that are cut, measured on training rows. file: of the tokenizer. shares: the input whose encoder it has.
    """

    kind: ClassVar[str] = "text"
    tensor_kind: ClassVar[TensorKind] = TensorKind.TOKENS
    config_type: ClassVar[type[FeatureConfig]] = TextConfig

    name: str
    columns: tuple[str, ...]
    tokenizer: str
    max_length: Annotated[int, Field(ge=1, le=MOST_TOKENS)]
    mean_length: NotNegative
    cut_share: Share
    tokenizer_json: bytes
    encoder: TextEncoder
    file: Annotated[str, Field(pattern=r"^tokenizer(-\d{1,6})?\.json$")] = TOKENIZER_FILE
    shares: str = ""

    @property
    def is_pair(self) -> bool:
        return len(self.columns) > 1

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        num_cells = profile.num_rows - profile.num_missing
        if profile.sample.dtype != pl.String or not num_cells:
            return 0.0
        distinct = profile.num_unique / num_cells
        prose = Prose.of(profile.sample)
        if not prose.has_letters:
            return 0.1
        if distinct <= 0.2 or (distinct <= 0.5 and profile.num_unique <= 20):
            return 0.85 if prose.is_sentence and profile.num_unique > 200 else 0.3
        if distinct <= 0.5:
            return 0.7 if prose.is_phrase else 0.3
        if prose.is_phrase or prose.has_spaces:
            return 0.9 if prose.is_phrase else 0.7
        return 0.55 if is_nearly_unique(profile) else 0.45

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: TextConfig, context: FitContext
    ) -> Self:
        max_length = _max_length(config, context)
        if context.tokenizer is None:
            tokenizer, tokenizer_json = _train(columns, frame, config, max_length)
        else:
            tokenizer, tokenizer_json = "pretrained", _read(context.tokenizer, config)
        try:
            encoder = TextEncoder.load(tokenizer_json, max_length, len(columns) > 1)
        except ValueError as error:
            raise CheckpointError(
                str(context.tokenizer),
                expected="a tokenizer that the 'tokenizers' library reads",
                found=f"none ({error})",
                action="Take the tokenizer.json that belongs to the model",
            ) from None
        return cls(name, columns, tokenizer, max_length, 0.0, 0.0, tokenizer_json, encoder).measured(frame)

    def measured(self, frame: pl.DataFrame) -> Self:
        """Return the feature with the lengths of training rows."""
        places = np.unique(np.linspace(0, max(len(frame) - 1, 0), MEASURED_ROWS, dtype=np.int64))[: len(frame)]
        lengths = self.encoder.lengths(texts_of(self.columns, frame[places], self.max_length))
        return replace(
            self,
            mean_length=float(lengths.mean()) if len(lengths) else 0.0,
            cut_share=float((lengths > self.max_length).mean()) if len(lengths) else 0.0,
        )

    def of_column(self, name: str, column: str, shares: str, frame: pl.DataFrame) -> Self:
        """Return a feature of one of the columns alone, with the same tokenizer. shares: as the field."""
        encoder = TextEncoder.load(self.tokenizer_json, self.max_length, False)
        return replace(self, name=name, columns=(column,), encoder=encoder, shares=shares).measured(frame)

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        """Make (N,) int32 token ids; for pairs (N, 2): token ids and type ids."""
        ids, types, offsets = self.encoder.encode(texts_of(self.columns, frame, self.max_length))
        values = np.stack([ids, types], axis=1) if self.is_pair else ids
        return Encoded(EncodedColumn(self.tensor_kind, values, offsets))

    def spec(self) -> InputSpec:
        size = self.encoder.vocab_size
        return InputSpec(self.name, self.tensor_kind, size, max_length=self.max_length, shares=self.shares)

    def state(self) -> dict[str, Any]:
        keys = ("name", "tokenizer", "max_length", "mean_length", "cut_share")
        own = {"file": self.file, "shares": self.shares} if self.shares or self.file != TOKENIZER_FILE else {}
        return {"columns": list(self.columns)} | {key: getattr(self, key) for key in keys} | own

    def files(self) -> dict[str, bytes]:
        return {self.file: self.tokenizer_json}

    @classmethod
    def from_state(cls, state: dict[str, Any], files: dict[str, bytes]) -> Self:
        parts = arguments(cls, state, ("tokenizer_json", "encoder"))
        tokenizer_json = files.get(parts["file"], b"")
        if not parts["columns"]:
            raise ValueError("columns: none")
        try:
            encoder = TextEncoder.load(tokenizer_json, parts["max_length"], len(parts["columns"]) > 1)
        except ValueError as error:
            raise ArtifactError(
                parts["file"],
                expected="the tokenizer of the text columns",
                found=f"a damaged file ({error})" if tokenizer_json else "no file",
                action="Copy the whole run directory again",
            ) from None
        return cls(**parts, tokenizer_json=tokenizer_json, encoder=encoder)

    def describe(self) -> Sentence:
        tokenizers = {
            "pretrained": sentence("learned.pretrained", "the pretrained model's tokenizer"),
            "bpe": sentence("learned.bpe", "byte-level BPE"),
            "words": sentence("learned.words", "words"),
            "characters": sentence("learned.characters", "characters"),
        }
        tokens = sentence(
            "learned.tokens",
            "{tokens:,} tokens, {length:.0f} a row",
            tokens=self.encoder.vocab_size,
            length=self.mean_length,
        )
        cut = sentence(
            "learned.cut", "{share:.1%} of the rows cut to {length}", share=self.cut_share, length=self.max_length
        )
        return clauses([tokenizers[self.tokenizer], tokens, cut if self.cut_share else None])


def texts_of(columns: tuple[str, ...], frame: pl.DataFrame, max_length: int) -> Texts:
    """The texts of each row, one or a pair; a missing cell is an empty text."""
    cells = frame.select(strings(frame[column]).alias(column) for column in columns)
    cells = cells.select(
        cells.to_series(0).fill_null("").alias("first"),
        pl.concat_str(columns[1:], separator=" ", ignore_nulls=True).alias("second")
        if len(columns) > 1
        else pl.lit("").alias("second"),
    ).with_columns(pl.all().str.head(max_length * CHARACTERS_A_TOKEN))
    return cells.rows() if len(columns) > 1 else cells["first"].to_list()


def _max_length(config: TextConfig, context: FitContext) -> int:
    limit = context.max_positions
    if config.max_length is None:
        return min(DEFAULT_MAX_LENGTH, limit or DEFAULT_MAX_LENGTH)
    if limit is not None and config.max_length > limit:
        raise ConfigError(
            "features.text.max_length",
            expected=f"at most {limit} tokens, the pretrained model's longest input",
            found=str(config.max_length),
            action="Lower it, or choose a model that reads longer texts",
        )
    return config.max_length


def _train(columns: tuple[str, ...], frame: pl.DataFrame, config: TextConfig, max_length: int) -> tuple[str, bytes]:
    step = max(1, len(frame) * len(columns) // TRAINING_CELLS)
    cells = pl.concat([strings(frame[column].gather_every(step)).alias("cell") for column in columns])
    cells = cells.drop_nulls().str.head(max_length * CHARACTERS_A_TOKEN)
    cells = cells.gather_every(max(1, int(cells.str.len_bytes().sum()) // TRAINING_BYTES))
    method: Method
    if config.tokenizer == "auto":
        method = "characters" if cjk_share(cells) >= CJK_SHARE else "bpe"
    else:
        method = config.tokenizer
    # Slice by slice: as Python's strings the cells take several times the memory.
    slices = (cells.slice(start, SLICED_CELLS) for start in range(0, len(cells), SLICED_CELLS))
    texts = (cell for part in slices for cell in part.to_list())
    return method, train(texts, method, config.vocab_size, config.lowercase is not False)


def _read(path: Path, config: TextConfig) -> bytes:
    for setting, value in (("tokenizer", config.tokenizer), ("lowercase", config.lowercase)):
        if value not in ("auto", None):
            raise ConfigError(
                f"features.text.{setting}",
                expected="no value, since a pretrained model comes with its own tokenizer",
                found=f"'{value}'",
                action="Remove the setting, or train a model from scratch",
            )
    if not is_regular(path):
        raise CheckpointError(
            str(path),
            expected="the tokenizer.json of the pretrained model",
            found="no such file",
            action="Download the whole model again",
        )
    return read_regular(path, CheckpointError)
