"""Batches of rows on their way into a table: into memory, or to the disk where the source is large."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.core.cache import claim, remove_entry, replace_entry
from luban.core.errors import DataError
from luban.core.regular import check_regular, read_regular
from luban.core.removal import fresh_folder, left
from luban.core.sentence import PARTS, restored, sentence, with_parts
from luban.data.decimals import Decimal
from luban.data.table import RejectedRow

BATCH_ROWS = 65_536
BATCH_CHARACTERS = 64 * 2**20
PART_BYTES = 256 * 2**20
FORMAT = 2  # raised when what is in the folder of a large source changes


@dataclass
class Reading:
    """What is learnt of a source while its batches are read.

    name: the source, as shown in messages. numbers: of the rows that were read, batch by batch.
    """

    name: str
    numbers: list[npt.NDArray[np.int64]] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    decimal: Decimal | None = None

    def reject(self, row: int, column: str, reason: str) -> None:
        self.rejected.append(RejectedRow(self.name, row, column, reason))

    def accept(self, rows: Sequence[int]) -> None:
        self.numbers.append(np.asarray(rows, np.int64))

    def row_numbers(self, num_rows: int) -> npt.NDArray[np.int64]:
        """Return the numbers of the rows read; where the source gave none, they count from 1."""
        if not self.numbers:
            return np.arange(1, num_rows + 1)
        return self.numbers[0] if len(self.numbers) == 1 else np.concatenate(self.numbers)

    def rejected_in_order(self) -> tuple[RejectedRow, ...]:
        return tuple(sorted(self.rejected, key=lambda rejected: rejected.row))


def in_memory(batches: Iterable[pl.DataFrame], reading: Reading) -> pl.DataFrame:
    """Join the batches; a column of whole numbers in one and of text in another becomes text."""
    frames = list(batches)
    with clashing_columns(reading.name):
        return pl.concat(frames, how="diagonal_relaxed", rechunk=True) if frames else pl.DataFrame()


@contextmanager
def clashing_columns(name: str) -> Iterator[None]:
    """Say in one sentence that a column holds cells that have no type in common."""
    try:
        yield
    except (
        pl.exceptions.SchemaError,
        pl.exceptions.ComputeError,
        pl.exceptions.PanicException,
        TypeError,
        OverflowError,
    ) as error:
        raise DataError(
            name,
            expected="cells of one kind in each column",
            found=f"cells that have no type in common ({str(error).splitlines()[0]})",
            action="Make the cells of the column alike",
        ) from error


def entry(path: Path, cache: Path, *settings: object) -> Path:
    """Return the folder for a large source, named after its path, its state and how it is read."""
    status = path.stat()
    state = [FORMAT, status.st_size, status.st_mtime_ns, *map(str, settings)]
    return cache / "tables" / _digest(str(path.resolve())) / _digest(json.dumps(state))


def on_disk(batches: Iterable[pl.DataFrame], reading: Reading, folder: Path) -> list[str]:
    """Write the batches, and what `reading` has learnt, to `folder`, which appears only when it is whole.

    Returns a sentence where something stays beside it that Luban did not write.
    """
    try:
        with fresh_folder(folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.partial")) as temporary:
            claim(temporary, "table", folder.name)
            _write(batches, reading, temporary)
            before = [path for path in sorted(folder.parent.iterdir()) if not path.name.startswith(".")]
            stays = [path.name for path in before if not remove_entry(path)]  # of the same path in an earlier state
            replace_entry(temporary, folder)
        return left(folder.parent, stays)
    except OSError as error:
        raise DataError(
            reading.name,
            expected=f"room for a working copy in {folder.parent}",
            found=f"'{error.strerror or error}'",
            action="Set the environment variable LUBAN_CACHE to a folder with enough room",
        ) from error


def _write(batches: Iterable[pl.DataFrame], reading: Reading, folder: Path) -> None:
    schemas = [_write_part(part, folder, place) for place, part in enumerate(_parts(batches))]
    with clashing_columns(reading.name):
        _unify(folder, schemas)
    np.save(folder / "rows.npy", reading.row_numbers(sum(height for _, height in schemas)))
    learnt = {"rejected": [asdict(row) for row in reading.rejected_in_order()], "decimal": reading.decimal}
    learnt |= with_parts({"notes": reading.notes})
    (folder / "reading.json").write_text(json.dumps(learnt), "utf-8")


def mapped(folder: Path, reading: Reading) -> pl.DataFrame:
    """Return the frame that `on_disk` wrote, memory-mapped where pyarrow is there to do it, and restore `reading`."""
    learnt = json.loads(read_regular(folder / "reading.json"))
    reading.rejected = [RejectedRow(**row) for row in learnt["rejected"]]
    notes = learnt["notes"]
    parts = learnt.get(f"notes{PARTS}") or [None] * len(notes)
    reading.notes = [restored(note, own) for note, own in zip(notes, parts, strict=True)]
    reading.decimal = learnt.get("decimal")
    files = sorted(folder.glob("*.arrow"))
    for file in (*files, folder / "rows.npy"):
        check_regular(file)
    if importlib.util.find_spec("pyarrow") is None:
        reading.notes.append(
            sentence(
                "read.into_memory",
                "{name}: read into memory; install pyarrow to have it stay on the disk",
                name=reading.name,
            )
        )
        frames = [pl.read_ipc(part) for part in files]
    else:
        frames = [_map(part) for part in files]
    reading.numbers = [np.load(folder / "rows.npy", mmap_mode="r")]
    return pl.concat(frames, rechunk=False) if frames else pl.DataFrame()


def _map(part: Path) -> pl.DataFrame:
    # Polars reads Arrow files into memory from version 2 on; what pyarrow maps it takes over without a copy.
    pyarrow = importlib.import_module("pyarrow")
    ipc = importlib.import_module("pyarrow.ipc")
    frame = pl.from_arrow(ipc.open_file(pyarrow.memory_map(str(part))).read_all(), rechunk=False)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _parts(batches: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    waiting: list[pl.DataFrame] = []
    size = 0
    for batch in batches:
        waiting.append(batch)
        size += int(batch.estimated_size())
        if size >= PART_BYTES:
            yield pl.concat(waiting, how="diagonal_relaxed")
            waiting, size = [], 0
    if waiting:
        yield pl.concat(waiting, how="diagonal_relaxed")


def _write_part(part: pl.DataFrame, folder: Path, place: int) -> tuple[pl.Schema, int]:
    part.write_ipc(folder / f"{place:06}.arrow", record_batch_size=BATCH_ROWS)
    return part.schema, part.height


def _unify(folder: Path, schemas: list[tuple[pl.Schema, int]]) -> None:
    """Write those parts again whose columns differ from what all parts have in common."""
    empties = [pl.DataFrame(schema=schema) for schema, _ in schemas]
    common = pl.concat(empties, how="diagonal_relaxed") if empties else pl.DataFrame()
    for place, (schema, _) in enumerate(schemas):
        if schema != common.schema:
            part = folder / f"{place:06}.arrow"
            frame = pl.concat([common, pl.read_ipc(part.read_bytes())], how="diagonal_relaxed")
            frame.write_ipc(part, record_batch_size=BATCH_ROWS)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]
