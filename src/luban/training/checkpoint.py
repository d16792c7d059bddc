"""Checkpoints: written whole or not at all, verified when they are read, and few.

A checkpoint is two files: `step-STEP-EPOCH.safetensors` with every tensor, and a JSON file of the same name, written
last, with the counters and the SHA-256 of the files that belong to it. Without its JSON file it does not exist.

Whatever else is in the folder stays: a file is removed only where its name, and its header or its own hash, say that
this run wrote it.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import safetensors
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from luban.core import artifact, removal, weights
from luban.core.errors import ArtifactError, typed
from luban.core.regular import is_regular
from luban.core.sentence import said, sentence
from luban.core.system_errors import disk_errors

Tensors = dict[str, torch.Tensor]
State = dict[str, Any]
FORMAT = 2  # raised when a checkpoint of an older format can no longer be gone on from
REMEMBERED = 8  # parsed files
KEPT = 2  # newest checkpoints; the newest one from the start of an epoch stays beside them
BEST, PREFIX = "best-", "step-"
STEP = re.compile(r"step-(\d{8,})-(\d{5,})\.json")
WEIGHTS = re.compile(r"(step-\d{8,}-\d{5,}|best-\d{8,})\.safetensors")
UNFINISHED = re.compile(r"\.(step|best)-\d{8,}[-.\w]*\.[0-9a-f]{8}\.partial")
LARGEST_JSON = 20_000_000  # bytes; the settings of a wide table are long
SHOWN = 3  # differences that are named


class Content(BaseModel):
    """The JSON file of a checkpoint. facts, surroundings: by name. files: SHA-256 by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal[2]
    facts: dict[str, Any]
    surroundings: dict[str, str]
    state: State
    files: dict[
        Annotated[str, Field(pattern=rf"^({WEIGHTS.pattern})$")], Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    ]
    sha256: str


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

    facts: what the run must have in common with the one that wrote a checkpoint. check: raises ValueError for a
    checkpoint that this run cannot go on from. surroundings: what is told where it differs. notes: what was unusual.
    """

    folder: Path | None
    facts: dict[str, Any] = field(default_factory=dict)
    check: Callable[[Checkpoint], object] = lambda found: None
    surroundings: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    memory: list[Checkpoint] = field(default_factory=list)
    best_file: dict[str, str] = field(default_factory=dict)
    parsed: dict[tuple[Path, int, int, int], Content] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.facts = json.loads(json.dumps(self.facts))  # as they are read again
        self.owner = f"checkpoint {_digest(self.facts)}"

    def keep_best(self, step: int, tensors: Tensors) -> None:
        """Write the best weights so far; the next checkpoint refers to them. Raises ArtifactError (full disk)."""
        if self.folder is not None:
            name = f"{BEST}{step:08d}.safetensors"
            self._written(name, lambda path: artifact.write_weights(path, tensors, self.owner))
            self.best_file = {name: artifact.sha256(self.folder / name)}

    def save(self, state: State, tensors: Tensors, best: Tensors) -> Saved:
        """Write a checkpoint, then remove those that it makes superfluous. Raises ArtifactError (full disk)."""
        start = time.monotonic()
        if self.folder is None:
            self.hold(state, tensors, best)
            return Saved("memory", 0, time.monotonic() - start)
        name = f"{PREFIX}{state['step']:08d}-{state['epoch']:05d}"
        stored = self._written(f"{name}.safetensors", lambda path: artifact.write_weights(path, tensors, self.owner))
        files = {stored.name: artifact.sha256(stored), **self.best_file}
        content = {"format": FORMAT, "facts": self.facts, "surroundings": self.surroundings}
        content |= {"state": state, "files": files}
        signed = {**content, "sha256": _digest(content)}
        path = self._written(f"{name}.json", lambda path: artifact.write_json(path, signed))
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
        """Return the newest whole checkpoint whose state is usable; a damaged one is passed over with a note.

        Raises ArtifactError where it is of a run that differs in what decides the bits.
        """
        for path in reversed(self._paths()):
            try:
                content = _parsed(path)
                for name, digest in content.files.items():
                    if not is_regular(path.parent / name) or artifact.sha256(path.parent / name) != digest:
                        raise ValueError(sentence("resume.cut", "{name} is cut short or changed", name=name))
                require_same(path, content.facts, self.facts)
                if not usable(content.state):
                    continue
                best_file = {name: digest for name, digest in content.files.items() if name.startswith(BEST)}
                tensors = weights.load(path.with_suffix(".safetensors"))
                best = [weights.load(path.parent / name) for name in best_file]
                found = Checkpoint(content.state, tensors, best[0] if best else {})
                self.check(found)
            except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
                self.notes.append(
                    sentence(
                        "resume.damaged",
                        "the checkpoint {name} is damaged ({reason}): an older one is used",
                        name=path.name,
                        reason=said(error),
                    )
                )
                continue
            self.best_file = best_file
            self._compare_surroundings(content.surroundings)
            return found
        return self._held(usable)

    def _compare_surroundings(self, then: dict[str, str]) -> None:
        names = [name for name, now in self.surroundings.items() if then.get(name, now) != now]
        if names:
            self.notes.append(
                sentence(
                    "resume.surroundings",
                    "the run began with {then}, and goes on with {now}: the last bits of its weights may differ",
                    then=", ".join(f"{name} {then[name]}" for name in names),
                    now=", ".join(f"{name} {self.surroundings[name]}" for name in names),
                )
            )

    def check_facts(self, *, known: bool = True) -> None:
        """Raise ArtifactError where the newest checkpoint is of a run that differs in what decides the bits.

        known: all facts are; otherwise those that are there are compared.
        """
        for path in reversed(self._paths()):
            try:
                content = _parsed(path)
            except (OSError, ValueError):
                continue
            then = content.facts if known else {name: content.facts.get(name) for name in self.facts}
            require_same(path, then, self.facts)
            return

    def forget_after(self, state: State) -> None:
        """Remove the checkpoints beyond a state that the run went back to."""
        here = _place(state)
        self.memory = [checkpoint for checkpoint in self.memory if _place(checkpoint.state) <= here]
        if self.folder is not None and self.folder.is_dir():
            beyond = {path for path in self._paths() if _numbers(path)[::-1] > here}
            removal.remove_files(self.folder, lambda path: path in beyond and self._wrote(path))
        self._remove_superfluous()

    def strangers(self) -> list[str]:
        """Say what `clear` will leave, since this run did not write it."""
        if self.folder is None or not self.folder.is_dir():
            return []
        names = [path.name for path in sorted(self.folder.iterdir()) if not self._wrote(path)]
        notes = removal.left(self.folder, names)
        if self.folder.is_symlink():
            notes.append(
                sentence(
                    "resume.link",
                    "{folder} is a link: the checkpoints behind it go, the link stays",
                    folder=str(self.folder),
                )
            )
        return notes

    def clear(self) -> None:
        """Remove every file that this run wrote, and the folder where nothing is left: the finished run holds what is
        worth keeping."""
        if self.folder is not None and self.folder.is_dir():
            removal.remove_files(self.folder, self._wrote)
            removal.remove_empty(self.folder)

    def _paths(self) -> list[Path]:
        """The JSON files, oldest first."""
        if self.folder is None or not self.folder.is_dir():
            return []
        found = [path for path in self.folder.iterdir() if STEP.fullmatch(path.name) and is_regular(path)]
        return sorted(found, key=_numbers)

    def _wrote(self, path: Path) -> bool:
        """Tell whether this run wrote a file."""
        if not removal.is_plain_file(path):
            return False
        if UNFINISHED.fullmatch(path.name) or weights.is_unfinished(path, self.owner):
            return True
        if WEIGHTS.fullmatch(path.name):
            return (weights.mark_of(path) or {}).get("owner") == self.owner
        if not STEP.fullmatch(path.name):
            return False
        try:
            return self._content(path).facts == self.facts
        except (OSError, ValueError):
            return False

    def _content(self, path: Path) -> Content:
        """Parse a JSON file, once as long as it stays as it is: the settings of a wide table are long."""
        state = path.stat()
        key = (path, state.st_ino, state.st_size, state.st_mtime_ns)
        if key not in self.parsed:
            self.parsed = {**dict(list(self.parsed.items())[-REMEMBERED:]), key: _parsed(path)}
        return self.parsed[key]

    def _written(self, name: str, write: Callable[[Path], None]) -> Path:
        """Write a file of the folder; what stands in its place and is not of this run gets another name."""
        assert self.folder is not None
        path = self.folder / name
        try:
            with disk_errors(path):
                self.folder.mkdir(exist_ok=True)
                if os.path.lexists(path) and not self._wrote(path):
                    aside = removal.set_aside(path)
                    self.notes.append(
                        sentence(
                            "resume.aside",
                            "{name} was not written by this run: it is called {aside} now",
                            name=str(path),
                            aside=aside.name,
                        )
                    )
            write(path)
        except ArtifactError as error:
            command = f"luban train --resume {typed(self.folder.parent)}"
            raise ArtifactError(
                error.where,
                expected=error.expected,
                found=error.found,
                action=f"What was saved before is whole: make room, then `{command}`",
            ) from error
        return path

    def _remove_superfluous(self) -> None:
        if self.folder is None or not self.folder.is_dir():
            return
        contents = {path: self._content(path) for path in self._paths() if self._wrote(path)}
        paths = list(contents)
        at_start = [path for path in paths if contents[path].state.get("batch") == 0]
        kept = {*paths[-KEPT:], *at_start[-1:]}
        files = {path.name for path in kept} | set(self.best_file)
        for path in kept:
            files |= set(contents[path].files)
        removal.remove_files(self.folder, lambda path: path.name not in files and self._wrote(path))


def require_same(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise ArtifactError where two runs differ in what decides the bits, naming the first differences.

    The facts of a run stand in the order in which they explain each other: settings before what follows from them.
    """
    names = [*now, *(name for name in then if name not in now)]
    differing = [name for name in names if name not in then or name not in now or then[name] != now[name]]
    if not differing:
        return
    first, *others = differing
    more = f" (and {len(others)} more: {', '.join(others[:SHOWN])})" if others else ""
    raise ArtifactError(
        f"{path}, {first}",
        expected="the same as when the run began",
        found=f"{_shown(then, first)} then, {_shown(now, first)} now{more}",
        action="Bring back what the run began with, or start a new run",
    )


def _shown(facts: Mapping[str, Any], name: str) -> str:
    if name not in facts:
        return "nothing"
    text = facts[name] if isinstance(facts[name], str) else json.dumps(facts[name], ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _parsed(path: Path) -> Content:
    """Read the JSON file of a checkpoint. Raises OSError, or ValueError where it is not as it was written."""
    if not is_regular(path):
        raise _unreadable()
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError(sentence("resume.long", "a file of {bytes:,} bytes", bytes=path.stat().st_size))
    try:
        raw = json.loads(path.read_bytes())
        content = Content.model_validate(raw)
    except (ValidationError, RecursionError, ValueError) as error:
        raise _unreadable() from error
    if _digest({name: value for name, value in raw.items() if name != "sha256"}) != content.sha256:
        raise ValueError(sentence("resume.changed", "its counters were changed"))
    step, epoch = _numbers(path)
    if (content.state.get("step"), content.state.get("epoch")) != (step, epoch) or (
        path.with_suffix(".safetensors").name not in content.files
    ):
        raise ValueError(sentence("resume.renamed", "it is of another step than its name says"))
    if not _is_count(content.state.get("batch")):
        raise _unreadable()
    return content


def _unreadable() -> ValueError:
    return ValueError(sentence("resume.unreadable", "it is not what a training writes"))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _numbers(path: Path) -> tuple[int, int]:
    """Return the step and the epoch that a file is named after."""
    found = STEP.fullmatch(path.name)
    assert found is not None
    return int(found[1]), int(found[2])


def _place(state: State) -> tuple[int, int]:
    return int(state["epoch"]), int(state["step"])


def _kept(checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    at_start = [checkpoint for checkpoint in checkpoints[:-KEPT] if checkpoint.state["batch"] == 0]
    return [*at_start[-1:], *checkpoints[-KEPT:]]


def _digest(content: dict[str, Any]) -> str:
    return artifact.sha256_text(json.dumps(content, sort_keys=True))
