"""From what amount of arithmetic on the faster precision is measured."""

from __future__ import annotations

import pytest

from luban.training.fit import precision_matters


@pytest.mark.parametrize(
    ("parameters", "rows", "matters"),
    [
        (235_146, 128, True),  # 784-256-128-10: few parameters, many rows
        (235_146, 32, False),
        (50_890, 128, False),
        (50_890, 512, True),
        (300_000, 2, True),  # a weight may count many times in a row: that of a convolution, of a layer over tokens
    ],
)
def test_parameters_or_products_make_it_matter(parameters: int, rows: int, matters: bool) -> None:
    assert precision_matters(parameters, rows) is matters
