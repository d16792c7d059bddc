"""Plain features of columns of text and values: word counts, one-hot categories, standardised numbers.

Each kind has a function that learns from training cells and returns a function from cells to a matrix (rows, D), or
None where the training cells have nothing to learn from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.features.cells import cjk_share, strings
from luban.features.number import parse_numbers
from luban.features.parsing import lists
from luban.features.parsing.date_format import find_numbers, parse_dates, reader

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer

Matrix: TypeAlias = Any  # (rows, D) float32, a NumPy array or a csr_array, for which SciPy has no types
Transform = Callable[[pl.Series], Matrix]

WORD_CHARACTERS, CJK_CHARACTERS = 1_000, 300  # of a cell that are read: bounds the time on long documents
CJK_SHARE = 0.2  # of the characters, from where on words are not told apart by spaces
MAX_NGRAMS = 50_000
MIN_ROWS_TO_PRUNE = 200  # from here on, n-grams of one row only are left out
LARGEST_SCALED = 10.0  # standard deviations


def fit_text(cells: pl.Series) -> Transform | None:
    """TF-IDF of words and pairs of words; of one to three characters in Chinese and Japanese."""
    is_cjk = cjk_share(strings(cells.head(1000)).drop_nulls()) >= CJK_SHARE
    from sklearn.feature_extraction.text import TfidfVectorizer  # loads for a second: not before the first step

    vectorizer = TfidfVectorizer(
        analyzer="char" if is_cjk else "word",
        ngram_range=(1, 3) if is_cjk else (1, 2),
        token_pattern=None if is_cjk else r"(?u)\b\w+\b",
        sublinear_tf=True,
        min_df=2 if len(cells) >= MIN_ROWS_TO_PRUNE else 1,
        max_features=MAX_NGRAMS,
        dtype=np.float32,
    )
    characters = CJK_CHARACTERS if is_cjk else WORD_CHARACTERS
    return _fit_vectorizer(vectorizer, cells, lambda new: strings(new).fill_null("").str.slice(0, characters).to_list())


def fit_category(cells: pl.Series) -> Transform | None:
    """One component a category; all zero for a new one."""
    known = strings(cells).fill_null("").unique().sort().alias("cell").to_frame().with_row_index("column")
    if not len(known):
        return None
    from scipy.sparse import csr_array

    def transform(new: pl.Series) -> Matrix:
        found = strings(new).fill_null("").alias("cell").to_frame()
        columns = found.join(known, on="cell", how="left", maintain_order="left")["column"]
        # Indices of 32 bits: some of scikit-learn's solvers take no others.
        at = tuple(
            part.to_numpy().astype(np.int32) for part in (columns.is_not_null().arg_true(), columns.drop_nulls())
        )
        return csr_array((np.ones(len(at[0]), np.float32), at), shape=(len(new), len(known)))

    return transform


def fit_labels(cells: pl.Series) -> Transform | None:
    """One component a label."""
    writing = lists.find_writing(cells, is_told=True) or lists.Writing()
    return _fit_vectorizer(_bag(), cells, lambda new: [labels or [] for labels in lists.split(new, writing).to_list()])


def _bag() -> CountVectorizer:
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(analyzer=list, binary=True, dtype=np.float32)


def _fit_vectorizer(vectorizer: Any, cells: pl.Series, documents: Callable[[pl.Series], list[Any]]) -> Transform | None:
    from scipy.sparse import csr_array  # takes long to import: not before the first step

    try:
        vectorizer.fit(documents(cells))
    except ValueError:  # no word in any cell
        return None
    return lambda new: csr_array(vectorizer.transform(documents(new)))


def fit_number(cells: pl.Series) -> Transform | None:
    """The standardised number, zero where missing, and whether it is missing."""
    return _fit_numbers(cells, lambda new: parse_numbers(new)[0])


def fit_date(cells: pl.Series) -> Transform | None:
    """As a number, the time since 1970."""
    numbers = find_numbers(cells) if cells.dtype.is_numeric() else None
    read = reader(cells) or (lambda new: parse_dates(new, None if numbers is None else numbers.day_format))

    def seconds(new: pl.Series) -> npt.NDArray[np.float64]:
        return read(new).to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy() / 1e6

    return _fit_numbers(cells, seconds)


def _fit_numbers(cells: pl.Series, parse: Callable[[pl.Series], npt.NDArray[np.float64]]) -> Transform | None:
    values = parse(cells)
    known = values[np.isfinite(values)]
    if not len(known) or known.min() == known.max():
        return None
    scale = float(np.abs(known).max())  # so that squares of extreme numbers stay finite
    mean, std = float((known / scale).mean()), float((known / scale).std())

    def transform(new: pl.Series) -> Matrix:
        numbers = parse(new)
        is_known = np.isfinite(numbers)
        scaled = np.clip((np.where(is_known, numbers, 0) / scale - mean) / std, -LARGEST_SCALED, LARGEST_SCALED)
        return np.stack([np.where(is_known, scaled, 0), ~is_known], axis=1).astype(np.float32)

    return transform


FITTERS: dict[str, Callable[[pl.Series], Transform | None]] = {
    "number": fit_number,
    "date": fit_date,
    "category": fit_category,
    "identifier": fit_category,
    "labels": fit_labels,
    "text": fit_text,
}
