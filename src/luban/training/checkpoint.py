"""Checkpoints: written whole or not at all, verified when they are read, and few.

A checkpoint is two files: `step-STEP-EPOCH.safetensors` with every tensor, and a JSON file of the same name, written
last, with the counters and the SHA-256 of the files that belong to it. Without its JSON file it does not exist.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from luban.core import artifact
from luban.core.errors import ArtifactError, typed
from luban.core.sentence import said, sentence
from luban.core.system_errors import disk_errors

Tensors = dict[str, torch.Tensor]
State = dict[str, Any]
KEPT = 2  # newest checkpoints; the newest one from the start of an epoch stays beside them
BEST, PREFIX = "best-", "step-"


@dataclass(frozen=True)
class Checkpoint:
    """state: the loop's counters. tensors: by name. best: the best weights so far, empty where there are none."""

    state: State
    tensors: Tensors
    best: Tensors


@dataclass(frozen=True)
class Saved:
    path: str
    size: int
    seconds: float


@dataclass
class Checkpoints:
    """The checkpoints of one run, in its folder, or in memory where there is none.

    facts: what the run must have in common with the one that wrote a checkpoint. notes: what was unusual in reading.
    """

    folder: Path | None
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    memory: list[Checkpoint] = field(default_factory=list)
    best_file: dict[str, str] = field(default_factory=dict)

    def keep_best(self, step: int, weights: Tensors) -> None:
        """Write the best weights so far; the next checkpoint refers to them. Raises ArtifactError (full disk)."""
        if self.folder is not None:
            name = f"{BEST}{step:08d}.safetensors"
            self._written(lambda folder: artifact.write_weights(folder / name, weights))
            self.best_file = {name: artifact.sha256(self.folder / name)}

    def save(self, state: State, tensors: Tensors, best: Tensors) -> Saved:
        """Write a checkpoint, then remove those that it makes superfluous. Raises ArtifactError (full disk)."""
        start = time.monotonic()
        if self.folder is None:
            self.hold(state, tensors, best)
            return Saved("memory", 0, time.monotonic() - start)
        name = f"{PREFIX}{state['step']:08d}-{state['epoch']:05d}"
        weights = self.folder / f"{name}.safetensors"
        self._written(lambda folder: artifact.write_weights(weights, tensors))
        files = {weights.name: artifact.sha256(weights), **self.best_file}
        content = {"facts": self.facts, "state": state, "files": files}
        path = self.folder / f"{name}.json"
        self._written(lambda folder: artifact.write_json(path, {**content, "sha256": _digest(content)}))
        if state["batch"] == 0:
            self.memory = []  # this one is as good to go back to
        size = sum((self.folder / file).stat().st_size for file in files)
        self._remove_superfluous()
        return Saved(str(path), size, time.monotonic() - start)

    def hold(self, state: State, tensors: Tensors, best: Tensors) -> None:
        """Keep a checkpoint in memory: for a run that goes back, not for one that is killed."""
        copied = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        self.memory = _kept([*self.memory, Checkpoint(json.loads(json.dumps(state)), copied, dict(best))])

    def _held(self, usable: Callable[[State], bool]) -> Checkpoint | None:
        return next((found for found in reversed(self.memory) if usable(found.state)), None)

    def newest(self, usable: Callable[[State], bool] = lambda state: True) -> Checkpoint | None:
        """Return the newest whole checkpoint whose state is usable; a damaged one is passed over with a note."""
        for path in reversed(self._paths()):
            try:
                content = self._read(path)
                if not usable(content["state"]):
                    continue
                self.best_file = {name: digest for name, digest in content["files"].items() if name.startswith(BEST)}
                tensors = safetensors.torch.load_file(path.with_suffix(".safetensors"))
                best = [safetensors.torch.load_file(path.parent / name) for name in self.best_file]
                return Checkpoint(content["state"], tensors, best[0] if best else {})
            except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
                self.notes.append(
                    sentence(
                        "resume.damaged",
                        "the checkpoint {name} is damaged ({reason}): an older one is used",
                        name=path.name,
                        reason=said(error),
                    )
                )
        return self._held(usable)

    def forget_after(self, state: State) -> None:
        """Remove the checkpoints beyond a state that the run went back to."""
        here = _place(state)
        self.memory = [checkpoint for checkpoint in self.memory if _place(checkpoint.state) <= here]
        for path in self._paths():
            step, epoch = path.stem.removeprefix(PREFIX).split("-")
            if (int(epoch), int(step)) > here:
                path.unlink()
        self._remove_superfluous()

    def clear(self) -> None:
        """Remove everything: the finished run holds what is worth keeping."""
        if self.folder is not None and self.folder.is_dir():
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()

    def _paths(self) -> list[Path]:
        """The JSON files, oldest first."""
        return [] if self.folder is None else sorted(self.folder.glob(f"{PREFIX}*.json"))

    def _read(self, path: Path) -> dict[str, Any]:
        """Read a JSON file and verify it and the files that it names. Raises ValueError or OSError."""
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        expected = content.pop("sha256")
        if _digest(content) != expected:
            raise ValueError(sentence("resume.changed", "its counters were changed"))
        for name, digest in content["files"].items():
            if artifact.sha256(path.parent / name) != digest:
                raise ValueError(sentence("resume.cut", "{name} is cut short or changed", name=name))
        self._require_same(path, content["facts"])
        return content

    def _require_same(self, path: Path, found: dict[str, Any]) -> None:
        for name, value in self.facts.items():
            if name in found and found[name] != value:
                raise ArtifactError(
                    f"{path}, {name}",
                    expected="the same as when the run began",
                    found=f"{str(found[name])[:60]} then, {str(value)[:60]} now",
                    action="Bring back what the run began with, or start a new run",
                )

    def _written(self, write: Callable[[Path], None]) -> None:
        assert self.folder is not None
        try:
            with disk_errors(self.folder):
                self.folder.mkdir(exist_ok=True)
            write(self.folder)
        except ArtifactError as error:
            command = f"luban train --resume {typed(self.folder.parent)}"
            raise ArtifactError(
                error.where,
                expected=error.expected,
                found=error.found,
                action=f"What was saved before is whole: make room, then `{command}`",
            ) from error

    def _remove_superfluous(self) -> None:
        if self.folder is None or not self.folder.is_dir():
            return
        paths = self._paths()
        at_start = [path for path in paths if self._state(path).get("batch") == 0]
        kept = {*paths[-KEPT:], *at_start[-1:]}
        files = {path.name for path in kept} | set(self.best_file)
        for path in kept:
            files |= set(self._content(path).get("files", {}))
        for path in self.folder.iterdir():
            if path.name not in files:
                path.unlink(missing_ok=True)

    def _state(self, path: Path) -> State:
        return dict(self._content(path).get("state", {}))

    def _content(self, path: Path) -> dict[str, Any]:
        try:
            return dict(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return {}


def _place(state: State) -> tuple[int, int]:
    return int(state["epoch"]), int(state["step"])


def _kept(checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    at_start = [checkpoint for checkpoint in checkpoints[:-KEPT] if checkpoint.state["batch"] == 0]
    return [*at_start[-1:], *checkpoints[-KEPT:]]


def _digest(content: dict[str, Any]) -> str:
    return artifact.sha256_text(json.dumps(content, sort_keys=True))
