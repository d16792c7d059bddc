from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from luban.features.base import ColumnProfile, FitContext
from luban.features.number import NUM_QUANTILES, NumberConfig, NumberFeature, Scaling, parse_numbers

NORMAL = np.random.default_rng(0).normal(40, 12, 3000)
TAILED = np.random.default_rng(1).lognormal(0, 2, 3000)


def fit(
    cells: object, scaling: Scaling = "auto", missing_values: frozenset[str] = frozenset()
) -> tuple[NumberFeature, pl.DataFrame]:
    frame = pl.DataFrame({"age": cells}, strict=False)
    context = FitContext(missing_values=missing_values)
    return NumberFeature.fit("age", ("age",), frame, NumberConfig(scaling=scaling), context), frame


def values(feature: NumberFeature, frame: pl.DataFrame) -> np.ndarray:
    return feature.encode(frame).column.values


def profile(cells: pl.Series) -> ColumnProfile:
    return ColumnProfile("age", cells, len(cells), 0, cells.n_unique())


def test_standard_scaling_is_scikit_learns() -> None:
    feature, frame = fit(NORMAL, "standard")
    expected = StandardScaler().fit_transform(NORMAL[:, None])
    np.testing.assert_allclose(values(feature, frame), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cells", [TAILED, np.where(TAILED < 3, 0.0, TAILED), np.round(NORMAL)])
def test_quantile_scaling_is_scikit_learns(cells: np.ndarray) -> None:
    feature, _ = fit(cells, "quantile")
    reference = QuantileTransformer(n_quantiles=NUM_QUANTILES, output_distribution="normal", subsample=None)
    reference.fit(cells[:, None])
    unseen = np.concatenate([cells[:500], [cells.min() - 1, cells.max() + 1, np.median(cells) + 0.01]])
    found = values(feature, pl.DataFrame({"age": unseen}))
    inner = (unseen != cells.min()) & (unseen != cells.max())  # scikit-learn puts ties at the ends 5.2 deviations out
    np.testing.assert_allclose(found[inner], reference.transform(unseen[:, None])[inner], rtol=1e-4, atol=2e-5)


def test_quantile_scaling_puts_ties_in_the_middle_of_their_ranks() -> None:
    feature, frame = fit([0.0] * 900 + list(range(1, 101)), "quantile")
    assert values(feature, frame)[0, 0] == pytest.approx(NormalDist().inv_cdf(0.45), abs=0.01)


def test_auto_takes_quantiles_for_heavy_tails_and_says_so() -> None:
    assert fit(NORMAL)[0].scaling == "standard"
    assert fit(NORMAL)[0].describe() == "mean 39.59, std 11.93, z-score"
    tailed = fit(TAILED)[0]
    assert tailed.scaling == "quantile"
    assert "quantiles to a normal distribution, heavy-tailed" in tailed.describe()
    assert fit([0] * 999 + [1])[0].scaling == "standard"  # two values have no tail


def test_no_scaling() -> None:
    feature, frame = fit([1.0, 5.0, 9.0], "none")
    assert values(feature, frame)[:, 0].tolist() == [1, 5, 9]
    assert "not scaled" in feature.describe()


def test_missing_cells_have_an_indicator_where_training_had_some() -> None:
    feature, frame = fit(["1", "", "3", None, "inf", "nan"])
    assert feature.spec().size == 2
    found = values(feature, frame)
    assert found[:, 1].tolist() == [0, 1, 0, 1, 1, 1]
    assert found[:, 0].tolist() == [-1, 0, 1, 0, 0, 0]
    assert feature.describe() == "mean 2, std 1, z-score, 66.7% missing, 1 infinite taken as missing"


def test_without_an_indicator_a_missing_cell_takes_the_mean() -> None:
    feature, _ = fit([1.0, 3.0])
    assert feature.spec().size == 1
    assert values(feature, pl.DataFrame({"age": [None, 2.0]})).tolist() == [[0], [0]]


def test_missing_values_are_missing_in_strings_and_in_numbers() -> None:
    missing_values = frozenset({"?", "-999"})
    feature, frame = fit(["1", " ? ", "3"], missing_values=missing_values)
    assert not feature.encode(frame).bad
    assert values(feature, frame)[:, 1].tolist() == [0, 1, 0]
    feature, frame = fit([1, -999, 3], missing_values=missing_values)
    assert feature.mean == 2
    assert values(feature, frame)[:, 1].tolist() == [0, 1, 0]


def test_an_unreadable_cell_says_what_to_do() -> None:
    feature, _ = fit(["1", "2", "3"])
    encoded = feature.encode(pl.DataFrame({"age": ["1", "n/a", "x" * 100]}))
    assert encoded.bad[1] == "expected a number, found 'n/a'. Add it to data.missing_values"
    assert len(encoded.bad[2]) < 120
    assert encoded.column.values[1, 0] == 0


def test_match() -> None:
    assert NumberFeature.match(profile(pl.Series([1, 2, 3])))
    assert NumberFeature.match(profile(pl.Series(["1.5", "-2e3"] * 50 + ["oops"])))
    assert not NumberFeature.match(profile(pl.Series(["1", "two"])))
    assert not NumberFeature.match(profile(pl.Series(["02139", "10001"])))  # a code, whose zero counts
    assert not NumberFeature.match(profile(pl.Series([True, False])))
    assert NumberFeature.match(profile(pl.Series(["1,234", "$5,678"])))
    assert not NumberFeature.match(profile(pl.Series(["0２１３９", "１０００１"])))


@given(st.lists(st.floats(width=64) | st.integers(-(2**60), 2**60) | st.none() | st.text(max_size=5), max_size=20))
@settings(max_examples=50, deadline=None)
def test_any_cells_make_finite_numbers(cells: list[float | int | str | None]) -> None:
    series = pl.Series("age", [None if cell is None else str(cell) for cell in cells], dtype=pl.String)
    numbers, bad = parse_numbers(series)
    assert numbers.shape == bad.shape == (len(cells),)
    scalings: tuple[Scaling, ...] = ("standard", "quantile", "none")
    for scaling in scalings:
        feature, frame = fit(series, scaling)
        encoded = feature.encode(frame)
        assert np.isfinite(encoded.column.values).all()
        assert list(encoded.bad) == np.flatnonzero(bad).tolist()


def test_huge_numbers_stay_finite() -> None:
    feature, frame = fit([1e308, -1e308, 0.0, 1e300])
    assert np.isfinite(values(feature, frame)).all()
    assert math.isfinite(feature.std)
    feature, _ = fit([1.0, 2.0])
    assert abs(values(feature, pl.DataFrame({"age": [1e308]})).item()) <= 1e4
