"""The vectors of frozen encoders, computed once: for all epochs of a training, and for later ones on the same rows."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from luban.core.cache import claim, mark_used, replace_entry
from luban.core.errors import ArtifactError
from luban.core.regular import open_regular
from luban.core.removal import fresh_folder
from luban.core.tensors import EncodedColumn, Ragged, TensorKind
from luban.core.version import VERSION
from luban.features.cache import make_room
from luban.features.dataset import Dataset
from luban.forward import forward_all
from luban.models.base import Encoder
from luban.models.network import Network, vector_name

FILE = "vectors.npz"  # an archive, since that has a checksum
Floats = npt.NDArray[np.float32]
Note = Callable[[str], None]


def with_vectors(
    network: Network,
    dataset: Dataset,
    names: list[str],
    device: torch.device,
    dtype: torch.dtype,
    cache: Path | None = None,
    note: Note = lambda _: None,
) -> Dataset:
    """Replace inputs by what their encoders make of them, so that a frozen encoder runs once and not every epoch.

    cache: a folder where they are kept within `cache_limit`, for the same weights, rows, precision, threads and
    versions. note: is told where they were taken from it.
    """
    inputs = dict(dataset.inputs)
    for name in names:
        encoder, column = network.encoder(name), inputs.pop(name)
        file = cache / _key(encoder, column, dataset.index, device, dtype) / FILE if cache and len(dataset) else None
        vectors = None if file is None else _stored(file, (len(dataset), encoder.output_dim))
        if vectors is None:
            found = forward_all(network, dataset, device, dtype, partial(_encode, encoder, name))
            vectors = found.numpy().astype(np.float32, copy=False)
            if file is not None:
                for text in _store(file, vectors):
                    note(text)
        else:
            note(f"vectors of the frozen encoder of '{name}' for {len(dataset):,} rows taken from the cache")
        values = np.zeros((len(column), encoder.output_dim), np.float32)
        if len(dataset):
            values[dataset.index] = vectors
        inputs[vector_name(name)] = EncodedColumn(TensorKind.DENSE, values)
    return replace(dataset, inputs=inputs)


def _encode(encoder: Encoder, name: str, inputs: dict[str, Tensor | Ragged]) -> Tensor:
    vectors: Tensor = encoder(inputs[name])
    return vectors


def _key(
    encoder: Encoder, column: EncodedColumn, index: npt.NDArray[np.int64], device: torch.device, dtype: torch.dtype
) -> str:
    """Return a digest of all that decides about the bits of the vectors."""
    digest = hashlib.blake2b(digest_size=20)
    digest.update(repr((VERSION, torch.__version__, device.type, dtype, torch.get_num_threads(), encoder)).encode())
    for name, weight in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    for array in (np.asarray(column.values), column.offsets, index):
        if array is not None:
            digest.update(repr((array.shape, array.dtype)).encode())
            digest.update(np.ascontiguousarray(array).data)
    return f"vectors-{digest.hexdigest()}"


def _stored(file: Path, shape: tuple[int, int]) -> Floats | None:
    """Read vectors; None where they are not there, or damaged."""
    with contextlib.suppress(ArtifactError, OSError, ValueError, KeyError, BadZipFile):
        with open_regular(file, ArtifactError) as opened, np.load(opened, allow_pickle=False) as archive:
            found: Floats = archive["vectors"]
        if found.shape == shape and found.dtype == np.float32:
            mark_used(file.parent)
            return found
    return None


def _store(file: Path, vectors: Floats) -> list[str]:
    """Keep vectors; a full disk is no reason to stop, since they are needed here only. Returns what is to be told."""
    folder = file.parent
    with contextlib.suppress(OSError):
        with fresh_folder(folder.with_name(f".{folder.name[:16]}.{uuid4().hex[:8]}.partial")) as made:
            claim(made, "vectors", folder.name)
            np.savez(made / FILE, vectors=vectors)
            replace_entry(made, folder)
        return make_room(folder)
    return []
