"""The run directory: atomic writes, a manifest of hashes, weights as safetensors; nothing in it can execute code."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import safetensors
import torch

from luban.core import removal, settings_text, strict, weights, weights_file
from luban.core.errors import ArtifactError, ConfigError, LubanError, typed
from luban.core.manifest import FORMAT, Manifest
from luban.core.regular import check_regular, is_regular, read_regular
from luban.core.system_errors import disk_errors, read_errors, system_error
from luban.core.weights_file import Stored

CONFIG, MANIFEST, NETWORK, FEATURES = "config.yaml", "manifest.json", "network.json", "features.json"
WEIGHTS, HISTORY, METRICS, PREDICTIONS = "model.safetensors", "history.jsonl", "metrics.json", "predictions.parquet"
REJECTED, TASK, CHECKPOINTS = "rejected_rows.csv", "task.json", "checkpoints"
AUDIT, EXPLANATIONS = "audit.json", "explanations.json"
REPORT, CARD = "report.html", "README.md"
DERIVED = (REPORT, CARD)  # made from the other files, and made again at any time: not sealed
CALIBRATION = "calibration.json"  # what the validation rows tell of the finished model: its temperature, and more
MOST_WORDS = 300  # characters of an error
AS_WRITTEN = "the file that the training wrote"
COPY_AGAIN = "Copy the run directory again"
MOST_BYTES = 2**28  # of a file that is read as a whole: no training writes as much
SHOWN_OF_NAME = 24  # characters, of at most 4 bytes each

RATES, RATE_PLOT = "learning_rate.json", "learning_rate.svg"
NAMES = (
    *(CONFIG, MANIFEST, NETWORK, FEATURES, WEIGHTS, HISTORY, METRICS, PREDICTIONS, REJECTED, TASK),
    *(AUDIT, EXPLANATIONS, REPORT, CARD, CALIBRATION, RATES, RATE_PLOT),
)
UNFINISHED = re.compile(rf"\.({'|'.join(re.escape(name[:SHOWN_OF_NAME]) for name in NAMES)})\.[0-9a-f]{{8}}\.partial")


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a sibling name to write to; afterwards it is flushed to the disk and takes the place of `path`."""
    # As much of the name as fits whatever the file system allows: no legal name is lengthened beyond it.
    temporary = path.with_name(f".{path.name[:SHOWN_OF_NAME]}.{uuid4().hex[:8]}.partial")
    with disk_errors(path):
        try:
            yield temporary
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        finally:
            removal.discard(temporary)


def write_bytes(path: Path, content: bytes) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: object) -> None:
    write_bytes(path, (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_weights(path: Path, tensors: dict[str, torch.Tensor], owner: str = "") -> None:
    """Save tensors that may share memory or lie on any device. owner: kept in the header."""
    with atomic(path) as temporary:
        weights.save(temporary, tensors, owner)


def _is_unfinished(path: Path) -> bool:
    """Tell whether a file of a run is what a kill left of a writing of `atomic`."""
    return bool(UNFINISHED.fullmatch(path.name)) or weights.is_unfinished(path)


def sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def damaged(path: Path, expected: str, error: Exception) -> LubanError:
    """Return what is said of a file of a run that cannot be what a training wrote, or that the system cannot read."""
    found = system_error(error, path, writing=False)
    if found is not None:
        return found
    words = str(error).splitlines() or [type(error).__name__]
    return ArtifactError(str(path), expected=expected, found=words[0][:MOST_WORDS], action=COPY_AGAIN)


@dataclass(frozen=True)
class RunDirectory:
    """A folder that holds one run."""

    path: Path

    @classmethod
    def create(cls, parent: Path, name: str) -> RunDirectory:
        """Make `parent/name`, or `parent/name-2`, `-3`... where it is taken: nothing is ever overwritten."""
        with disk_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
            for number in range(1, 100_000):
                path = parent / (name if number == 1 else f"{name}-{number}")
                with contextlib.suppress(FileExistsError):
                    path.mkdir()
                    return cls(path)
        raise AssertionError("a hundred thousand runs of one name")

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """Open a finished run. Raises ArtifactError where the folder holds none, or one of a later format."""
        path = Path(path)
        if not os.path.lexists(path / MANIFEST):
            unfinished = is_regular(path / CONFIG)
            raise ArtifactError(
                str(path),
                expected=f"a run directory with a {MANIFEST}",
                found="a run that did not finish" if unfinished else "none",
                action=f"Go on with `luban train --resume {typed(path)}`" if unfinished else "Check the path",
            )
        run = cls(path)
        run.check_format()
        run.check_files()
        return run

    @classmethod
    def open_unfinished(cls, path: str | Path) -> RunDirectory:
        """Open a run that was interrupted. Raises ArtifactError where the folder holds none, or a finished one."""
        path = Path(path)
        if os.path.lexists(path / MANIFEST):
            raise ArtifactError(
                str(path),
                expected="a run that was interrupted",
                found="one that is finished",
                action=f"Use it, or train it anew with `luban train {typed(path / CONFIG)}`",
            )
        if not is_regular(path / CONFIG):
            raise ArtifactError(
                str(path), expected=f"a run directory with a {CONFIG}", found="none", action="Check the path"
            )
        return cls(path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out of the run, as long as this one lives. Raises ArtifactError where one is in it."""
        if find_spec("fcntl") is None:  # Windows has no such lock
            yield
            return
        import fcntl

        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(folder)
            raise ArtifactError(
                str(self.path),
                expected="a run that no other process works on",
                found="one that is under way",
                action="Wait for its end, or stop it first",
            ) from error
        try:
            yield
        finally:
            os.close(folder)

    def check_format(self) -> None:
        """Raise ArtifactError where another version of Luban wrote the run, in a way that this one does not know."""
        content = self._mapping(MANIFEST, read_regular(self.path / MANIFEST, ArtifactError, MOST_BYTES))
        if content.get("format") != FORMAT:
            raise ArtifactError(
                str(self.path / MANIFEST),
                expected=f"format {FORMAT}",
                found=f"format {str(content.get('format'))[:20]}",
                action="Use the version of Luban that wrote it",
            )

    def check_files(self) -> None:
        """Raise ArtifactError where a small file is not as it was written; large ones are checked when they are read,
        as every other is again."""
        for name in self.manifest.files:
            if name not in (WEIGHTS, PREDICTIONS, HISTORY):
                self.checked(name)

    @property
    def manifest(self) -> Manifest:
        """What the manifest says. Raises ArtifactError where it is missing or damaged."""
        path = self.path / MANIFEST
        try:
            return strict.checked(Manifest, read_regular(path, ArtifactError, MOST_BYTES))
        except ValueError as error:
            raise damaged(path, "the manifest of a run", error) from error

    def has(self, name: str) -> bool:
        """Tell whether something of this name is there, whatever it is."""
        return os.path.lexists(self.path / name)

    def checked(self, name: str) -> Path:
        """Return the path of a regular file that is as the training wrote it. Raises ArtifactError where it is not."""
        path = self._there(name)
        check_regular(path, ArtifactError)
        if self.has(MANIFEST):  # else the run is under way
            with read_errors(path, ArtifactError):
                self._compare(name, sha256(path))
        return path

    def read(self, name: str) -> bytes:
        """Return a file of the run, as the training wrote it. Raises ArtifactError where it is not."""
        content = read_regular(self._there(name), ArtifactError, MOST_BYTES)
        if name != MANIFEST and self.has(MANIFEST):
            self._compare(name, hashlib.sha256(content).hexdigest())
        return content

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run. Raises ArtifactError where it is missing or damaged."""
        return self._mapping(name, self.read(name))

    def read_settings(self) -> dict[str, Any]:
        """Return the configuration of the run. Raises ArtifactError where it is missing or damaged."""
        try:
            content = settings_text.read(self.read(CONFIG).decode(), CONFIG, action="")
            if not isinstance(content, dict):
                raise ValueError(f"expected settings, found {type(content).__name__}")
        except (ValueError, ConfigError) as error:
            raise damaged(self.path / CONFIG, "the settings of a run", error) from error
        return content

    def predictions(self) -> pl.DataFrame:
        """Return the stored predictions of the test rows. Raises ArtifactError where they are missing or damaged."""
        path = self.checked(PREDICTIONS)
        try:
            frame = pl.read_parquet(path, glob=False)
            if not (frame["row"].dtype.is_integer() and frame["row"].null_count() == 0):
                raise ValueError("row: no numbers of rows")
        except (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise damaged(path, "the predictions of the test rows", error) from error
        return frame

    def weights_header(self) -> dict[str, Stored]:
        """Return which tensors the file of weights holds, none of which is loaded. Raises ArtifactError."""
        path = self._there(WEIGHTS)
        check_regular(path, ArtifactError)
        try:
            return weights_file.header(path)
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise damaged(path, "the weights that the training wrote", error) from error

    def weights(self) -> dict[str, torch.Tensor]:
        """Load the weights. Raises ArtifactError where they are not the ones that were written, or not finite."""
        path = self.checked(WEIGHTS)
        try:
            found = weights.load(path)
            weights_file.check_finite(found)
        except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
            raise damaged(path, "the weights that the training wrote", error) from error
        return found

    def _mapping(self, name: str, content: bytes) -> dict[str, Any]:
        try:
            found = strict.parsed(content)
            if not isinstance(found, dict):
                raise ValueError(f"expected an object, found {type(found).__name__}")
        except ValueError as error:
            raise damaged(self.path / name, "a JSON file", error) from error
        return found

    def _there(self, name: str) -> Path:
        if not self.has(name):
            raise ArtifactError(str(self / name), expected=AS_WRITTEN, found="none", action=COPY_AGAIN)
        return self / name

    def _compare(self, name: str, digest: str) -> None:
        if digest != self.manifest.files.get(name):
            raise ArtifactError(
                str(self.path / name),
                expected=AS_WRITTEN,
                found="one that was changed since",
                action=COPY_AGAIN,
            )

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def seal(self, manifest: dict[str, Any]) -> None:
        """Write the manifest, with the hashes of all files that are not derived; from here on the run is finished."""
        removal.remove_files(self.path, _is_unfinished)
        unsealed = (MANIFEST, *DERIVED)
        files = sorted(
            p for p in self.path.iterdir() if p.is_file() and p.name not in unsealed and not p.name.startswith(".")
        )
        hashes = {file.name: sha256(file) for file in files}
        write_json(self.path / MANIFEST, {"format": FORMAT, **manifest, "files": hashes})
