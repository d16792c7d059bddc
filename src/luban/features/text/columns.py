"""Several columns of text as the inputs of a network: one of all, or one each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from luban.features.base import FitContext
from luban.features.text.feature import TOKENIZER_FILE, TextConfig, TextFeature

TEXT = "text"  # the name of the input that all text columns make together


def fit_texts(
    names: Mapping[str, str], frame: pl.DataFrame, config: TextConfig, context: FitContext
) -> dict[str, TextFeature]:
    """Return the features of text columns by the column that each stands for: of joined ones the first. names: of the
    inputs by column, where each is one of its own."""
    columns = tuple(names)
    if config.columns == "joined" or len(columns) == 1:
        return {columns[0]: TextFeature.fit(TEXT, columns, frame, config, context)}
    if config.columns == "shared":
        whole, first = TextFeature.fit(TEXT, columns, frame, config, context), names[columns[0]]
        return {
            column: whole.of_column(name, column, "" if name == first else first, frame)
            for column, name in names.items()
        }
    found = dict[str, TextFeature]()
    files = dict[bytes, str]()
    for column, name in names.items():
        own = TextFeature.fit(name, (column,), frame, config, context)
        file = files.setdefault(own.tokenizer_json, f"tokenizer-{len(files)}.json" if files else TOKENIZER_FILE)
        found[column] = replace(own, file=file)
    return found
