"""Read the sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from luban.core.cache import cache_folder
from luban.core.sentence import sentence
from luban.data import samples, sources
from luban.data.decimals import Decimal
from luban.data.table import Table
from luban.run import Run


def read(run: Run, role: str, source: object, decimal: Decimal | None) -> Table:
    """Read one source, set aside what cannot be read, and draw `data.max_rows` of the training rows."""
    config = run.config.data
    if isinstance(source, str):
        announce_download(run, source)
        source = samples.resolve(source) or source
    table = sources.read(
        source,
        separator=config.separator,
        encoding=config.encoding,
        decimal=decimal,
        sheet=config.sheet,
        cache=cache_folder(),
    )
    run.note("read", *table.notes)
    if role == "train" and config.max_rows and config.max_rows < len(table):
        drawn = np.random.RandomState(0).choice(len(table), size=config.max_rows, replace=False)
        run.note(
            "read",
            sentence(
                "read.max_rows",
                "{drawn} of {rows} rows drawn at random (data.max_rows)",
                drawn=config.max_rows,
                rows=len(table),
            ),
        )
        table = table.take(drawn.astype(np.int64))
    return table


def announce_download(run: Run, reference: str) -> None:
    """Say so before a sample is fetched, which takes a while."""
    name = reference.removeprefix("sample:").partition("/")[0]
    found = next((sample for sample in samples.SAMPLES if sample.name == name), None)
    if found and not Path(reference).exists() and not samples.is_cached(name):
        run.note("fetch", f"sample '{name}' out of the package {found.package} {found.version}, once")
