"""The tensors that features hand to models, and models to tasks.

Legend of shape suffixes, used all over the project:
B rows of a batch · N packed tokens of a batch · T time · D width · H heads · K width of a head · V vocabulary
C classes, or channels of an image · S segments
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class TensorKind(StrEnum):
    """What a model binds to; a modality is only a way of getting there."""

    DENSE = "dense"  # (B, D) float: numbers, dates
    IDS = "ids"  # (B,) int: categories
    TOKENS = "tokens"  # Ragged (N,) or (N, 2) int: text
    FRAMES = "frames"  # Ragged (N, D) float: time series, log-mel audio
    GRID = "grid"  # (B, C, H, W): images, spectrograms


class OutputKind(StrEnum):
    """What a task binds to; which network computes it is another question."""

    ROW = "row"  # (B, D) from the joined inputs: classes, numbers, horizons of a forecast
    VECTOR = "vector"  # (B, D) of one input: matching, retrieval
    PLACE = "place"  # a vector for each token, frame or cell of one input: tags, language models, boxes
    CONSTANT = "constant"  # (B, D), the same learned vector for every row: how uncertain each of several targets is
    DECODED = "decoded"  # tokens of a decoder that attends to places: translation, captions


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths, packed without padding: row i is `values[offsets[i]:offsets[i + 1]]`.

    values: (N, ...); offsets: (B + 1,) int64, ascending from 0 to N, always on the CPU. marks: (N,) int of each place,
    for the task alone: which word it begins, say.
    """

    values: Tensor
    offsets: Tensor
    marks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Tensor:
        """(B,) int64."""
        return self.offsets.diff()

    def to(self, device: torch.device) -> Ragged:
        marks = None if self.marks is None else self.marks.to(device, non_blocking=True)
        return Ragged(self.values.to(device, non_blocking=True), self.offsets, marks)

    @classmethod
    def pack(cls, rows: Sequence[Tensor]) -> Self:
        """Pack rows of shape (T_i, ...)."""
        lengths = torch.tensor([0] + [len(row) for row in rows])
        return cls(torch.cat(list(rows)), lengths.cumsum(0))


@dataclass(frozen=True)
class InputSpec:
    """What a model must know of one input to be built for it.

    size: DENSE and FRAMES: D; IDS: number of ids; TOKENS: V; GRID: channels. height, width: GRID only. max_length:
    the longest row of TOKENS or FRAMES, separators included; length: that of every row, where FRAMES are windows of
    one length. unknown: of IDS, the shares of the ids that a training step replaces by the ids 0 and 1, which stand
    for missing and unseen. shares: the input before it whose encoder it has, where that is not one of its own.
    """

    name: str
    kind: TensorKind
    size: int
    height: int = 0
    width: int = 0
    max_length: int = 0
    length: int = 0
    shares: str = ""
    unknown: tuple[float, float] = (0.0, 0.0)


# By name: the inputs, targets or outputs of some rows, each rows first.
Columns = dict[str, Tensor | Ragged]


@dataclass(frozen=True)
class OutputSpec:
    """What a network computes for a task. name: among its outputs. size: D of each vector. of: the input that VECTOR,
    PLACE and DECODED belong to."""

    name: str
    kind: OutputKind
    size: int
    of: str = ""


@dataclass(frozen=True)
class EncodedColumn:
    """One encoded input of all rows, in memory or memory-mapped.

    values: (rows, ...), or packed (N, ...) with offsets (rows + 1,) int64 for TOKENS and FRAMES. absent: (rows,) which
    rows lack the input, where its values do not tell; None where they do.
    matrix: (rows, W), where inputs stand side by side in one: `values` then shows its columns from `first` on.
    """

    kind: TensorKind
    values: npt.NDArray[np.generic]
    offsets: npt.NDArray[np.int64] | None = None
    matrix: npt.NDArray[np.generic] | None = None
    first: int = 0
    absent: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values) if self.offsets is None else len(self.offsets) - 1

    @property
    def is_packed(self) -> bool:
        """Whether a row is a number of tokens or frames."""
        return self.offsets is not None

    @property
    def frames_a_token(self) -> int:
        """How many frames weigh as much as a token in a network, where a row has few or many of them at will."""
        return 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(rows,): tokens or frames of each row; 1 where rows have no length."""
        return np.ones(len(self.values), np.int64) if self.offsets is None else np.diff(self.offsets)

    def take(self, rows: npt.NDArray[np.int64]) -> Tensor | Ragged:
        """Copy the given rows out, in the given order."""
        # Plain arrays: NumPy's class of mapped ones does Python's work at every access.
        values = np.asarray(self.values)
        if self.offsets is None:
            return torch.from_numpy(np.asarray(values[rows]))
        offsets = np.asarray(self.offsets)
        starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        positions = np.arange(ends[-1]) + np.repeat(starts - ends[:-1], lengths)
        return Ragged(torch.from_numpy(np.asarray(values[positions])), torch.from_numpy(ends.astype(np.int64)))

    @classmethod
    def concatenate(cls, parts: Sequence[EncodedColumn]) -> EncodedColumn:
        """Stack the rows of several columns of the same kind."""
        values = np.concatenate([part.values for part in parts])
        absent = [part.absent for part in parts if part.absent is not None]
        if parts[0].offsets is None:
            return cls(parts[0].kind, values, absent=np.concatenate(absent) if absent else None)
        lengths = np.concatenate([part.lengths for part in parts])
        return cls(parts[0].kind, values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def absence(input_name: str) -> str:
    """Under this name a batch brings which of its rows lack an input, (B,) bool; none where all have it."""
    return f"{input_name} (absent)"


def only(outputs: Tensor | Columns) -> Tensor:
    """Return the one output, rows first, of a network that has no other."""
    if isinstance(outputs, Tensor):
        return outputs
    (found,) = outputs.values()
    assert isinstance(found, Tensor), "the output is packed"
    return found


@dataclass(frozen=True)
class Batch:
    """Some rows of a data set, ready for a network.

    inputs, targets: by name; no targets where they are not known. rows: (B,) positions in the table.
    """

    inputs: Columns
    targets: Columns
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def device(self) -> torch.device:
        """Where the batch is."""
        for value in (*self.targets.values(), *self.inputs.values()):
            return value.values.device if isinstance(value, Ragged) else value.device
        return torch.device("cpu")

    @property
    def num_tokens(self) -> int:
        """Packed tokens or frames in the batch; rows where nothing is packed."""
        packed = [len(value.values) for value in self.inputs.values() if isinstance(value, Ragged)]
        return sum(packed) or len(self)

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to a device, in one transfer what stands in one block of memory."""
        targets = {name: value.to(device) for name, value in self.targets.items()}
        blocks: dict[int, Tensor] = {}
        inputs = {
            name: value.to(device) if isinstance(value, Ragged) else _moved(value, device, blocks)
            for name, value in self.inputs.items()
        }
        return Batch(inputs, targets, self.rows)

    def pinned(self) -> Batch:
        """Copy packed inputs to page-locked memory, from which a CUDA GPU fetches them while it computes."""
        inputs = {
            name: Ragged(value.values.pin_memory(), value.offsets, value.marks) if isinstance(value, Ragged) else value
            for name, value in self.inputs.items()
        }
        return Batch(inputs, self.targets, self.rows)


def _moved(value: Tensor, device: torch.device, blocks: dict[int, Tensor]) -> Tensor:
    """Return a tensor on a device as a view of its whole storage there. blocks: the storages that are there already."""
    if value.device == device:
        return value
    storage = value.untyped_storage()
    if storage.nbytes() == value.nbytes:
        return value.to(device)
    key = storage.data_ptr()
    if key not in blocks:
        blocks[key] = torch.empty(0, dtype=value.dtype, device=value.device).set_(storage).to(device)
    return blocks[key].as_strided(value.shape, value.stride(), value.storage_offset())
