"""Luban: from raw data to a trained, checked and usable deep model.

`train` makes a model of a table, `load` opens a finished run; both return a `Model` with `predict` and `evaluate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luban.core.version import VERSION as __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from luban.model import Model

__all__ = ["__version__", "load", "train"]


def train(
    source: object = None, target: str | Sequence[str] | None = None, *, quiet: bool = False, **settings: Any
) -> Model:
    """Train a model of a path, a configuration file or a table (pandas, Polars, Arrow, a dict of columns).

    target: the column to predict, or several.
    settings: as in a configuration file, nested by dicts (`train={"epochs": 3}`) or by double underscores
    (`train__epochs=3`); `test` and `validation` may be paths or tables. `resume="runs/x"` goes on with
    a run that was interrupted, with the same table where it was one in memory. Raises LubanError.
    """
    from luban.interface import train_from_python

    return train_from_python(source, target, quiet, settings)


def load(run: str | Path) -> Model:
    """Open the model of a finished run directory. Raises ArtifactError."""
    from luban.model import Model

    return Model.load(run)
