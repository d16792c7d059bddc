"""What decides the bits of a training: a run goes on from a checkpoint only where all of it is as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from luban.config import RunConfig
from luban.core.artifact import CHECKPOINTS
from luban.core.version import VERSION
from luban.data import sources
from luban.data.contents import fingerprint
from luban.data.split.config import ROLES
from luban.models.pretrained.weights import weight_files
from luban.run import Run
from luban.stages.prepared import Prepared
from luban.training.checkpoint import Checkpoints
from luban.training.fit import Job

FREE = {
    "name": "what the run is called",
    "runs": "where its directory is",
    "track": "who is told of it",
    "lang": "the language of its report",
    "device": "the kind of device stands beside the settings, so that `auto` may be written out",
    "data.train": "the data may have moved: their contents are compared",
    "data.validation": "likewise",
    "data.test": "likewise",
    "data.audit_seconds": "the audit changes no row",
    "model.tokens.checkpoint": "the checkpoint may have moved: its files are compared",
    "train.checkpoint_seconds": "when checkpoints are written",
    "train.workers": "batches are the same whoever makes them",
    "train.preflight": "it tries copies",
    "evaluate": "how the finished model is judged",
}  # settings that a run may go on with changed, and why they cannot change its bits
UNDECIDED: tuple[object, ...] = (None, "auto", {}, [])
SHOWN = 12  # digits of a digest


def facts(config: RunConfig, prepared: Prepared, job: Job) -> dict[str, Any]:
    """Return by name what decides the bits: settings first, then what they and the data led to.

    config: resolved, as `config.yaml` has it.
    """
    parts = {role: getattr(prepared.parts, role) for role in ROLES}
    tables = {id(part.table): (role, part.table) for role, part in reversed(parts.items())}  # by the first role of each
    prints = {key: sources.fingerprint(table) for key, (_, table) in tables.items()}
    found = dict(settings(config.model_dump(mode="json")))
    found["device"] = job.device.type
    found |= {f"{role} data": prints[id(part.table)][:SHOWN] for role, part in parts.items()}
    if prepared.checkpoint is not None:
        found["files of the pretrained checkpoint"] = _of_files(weight_files(prepared.checkpoint))
    roles = [role for role in parts if tables[id(parts[role].table)][0] == role]
    for role, checksums in zip(roles, prepared.checksums, strict=True):
        found |= {f"contents of '{name}' in the {role} data": checksum for name, checksum in checksums.items()}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in prepared.schema.files().items()}
    found["files of the fitted columns"] = _digest(files)
    found |= {f"fitted column '{item.name}'": _digest([item.kind, item.state()]) for item in prepared.schema.features}
    found["fitted target"] = _digest([prepared.task.name, prepared.task.state()])
    found |= {f"{role} rows": hashlib.sha256(part.rows.tobytes()).hexdigest()[:SHOWN] for role, part in parts.items()}
    return found


def check_settings(run: Run) -> None:
    """Raise ArtifactError, before any data are read, where a setting is another than when the run began.

    What is left to be decided may turn out as it did then.
    """
    given = {name: value for name, value in settings(run.config.model_dump(mode="json")) if value not in UNDECIDED}
    Checkpoints(run.directory / CHECKPOINTS, given).check_facts(known=False)


def settings(values: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the settings that can change bits, by their full name."""
    for name, value in values.items():
        full = f"{place}{name}"
        if full in FREE:
            continue
        if isinstance(value, Mapping) and value:
            yield from settings(value, f"{full}.")
        else:
            yield full, value


def surroundings() -> dict[str, str]:
    """Return what can change the last bits, but is no reason to refuse: it is told."""
    return {"Luban": VERSION, "torch": torch.__version__, "threads": str(torch.get_num_threads())}


def _of_files(paths: list[Path]) -> str:
    return _digest({path.name: fingerprint(path) for path in paths})


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:SHOWN]
