"""The run directory: atomic writes, a manifest of hashes, weights as safetensors; nothing in it can execute code."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import safetensors
import torch

from luban.core import removal, weights
from luban.core.errors import ArtifactError, typed
from luban.core.system_errors import disk_errors

FORMAT = 1  # raised when a run directory of an older format can no longer be read
CONFIG, MANIFEST, NETWORK, FEATURES = "config.yaml", "manifest.json", "network.json", "features.json"
WEIGHTS, HISTORY, METRICS, PREDICTIONS = "model.safetensors", "history.jsonl", "metrics.json", "predictions.parquet"
REJECTED, TASK, CHECKPOINTS = "rejected_rows.csv", "task.json", "checkpoints"
AUDIT, EXPLANATIONS = "audit.json", "explanations.json"
REPORT, CARD = "report.html", "README.md"
DERIVED = (REPORT, CARD)  # made from the other files, and made again at any time: not sealed
CALIBRATION = "calibration.json"  # what the validation rows tell of the finished model: its temperature, and more
SHOWN_OF_NAME = 24  # characters, of at most 4 bytes each

RATES, RATE_PLOT = "learning_rate.json", "learning_rate.svg"


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


def sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


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
        if not (path / MANIFEST).is_file():
            unfinished = (path / CONFIG).is_file()
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
        if (path / MANIFEST).is_file():
            raise ArtifactError(
                str(path),
                expected="a run that was interrupted",
                found="one that is finished",
                action=f"Use it, or train it anew with `luban train {typed(path / CONFIG)}`",
            )
        if not (path / CONFIG).is_file():
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
        found = self.read_json(MANIFEST).get("format")
        if found != FORMAT:
            raise ArtifactError(
                str(self.path / MANIFEST),
                expected=f"format {FORMAT}",
                found=f"format {found}",
                action="Use the version of Luban that wrote it",
            )

    def check_files(self) -> None:
        """Raise ArtifactError where a small file is not as it was written; weights are checked when they are read."""
        for name, expected in self.read_json(MANIFEST).get("files", {}).items():
            if name not in (WEIGHTS, PREDICTIONS, HISTORY) and not (
                (self.path / name).is_file() and sha256(self.path / name) == expected
            ):
                raise ArtifactError(
                    str(self.path / name),
                    expected="the file that the training wrote",
                    found="one that is missing, or was changed since",
                    action="Copy the run directory again",
                )

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run. Raises ArtifactError where it is missing or damaged."""
        try:
            content = json.loads((self.path / name).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ArtifactError(
                str(self.path / name), expected="a JSON file", found=f"'{error}'", action="Copy the run directory again"
            ) from error
        return dict(content)

    def seal(self, manifest: dict[str, Any]) -> None:
        """Write the manifest, with the hashes of all files that are not derived; from here on the run is finished."""
        unsealed = (MANIFEST, *DERIVED)
        files = sorted(
            p for p in self.path.iterdir() if p.is_file() and p.name not in unsealed and not p.name.startswith(".")
        )
        hashes = {file.name: sha256(file) for file in files}
        write_json(self.path / MANIFEST, {"format": FORMAT, **manifest, "files": hashes})

    def weights(self) -> dict[str, torch.Tensor]:
        """Load the weights. Raises ArtifactError where they are missing or not the ones that were written."""
        path = self.path / WEIGHTS
        expected = self.read_json(MANIFEST).get("files", {}).get(WEIGHTS)
        try:
            if sha256(path) != expected:
                raise ValueError("a file that was changed or cut short since")
            return weights.load(path)
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise ArtifactError(
                str(path),
                expected="the weights that the training wrote",
                found=str(error),
                action="Copy the run directory again",
            ) from error
