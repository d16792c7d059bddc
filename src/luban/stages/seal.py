"""Write what a person reads of the run, and the manifest that seals it."""

from __future__ import annotations

import time
from typing import Any

import torch

from luban.core.errors import typed
from luban.core.machine.cost import energy_estimate, peak_memory
from luban.core.runtime import hardware
from luban.core.system_errors import last_resort
from luban.core.version import VERSION
from luban.data import sources
from luban.data.split.config import ROLES
from luban.run import Run
from luban.stages.prepared import Prepared


def report(run: Run, facts: dict[str, Any]) -> str | None:
    """Write the page and the model card of the run; whatever goes wrong there, the model is saved.

    facts: its manifest, which is not written yet.
    """
    from luban.report.card import write_card
    from luban.report.page import write_report

    with run.stage("report"):
        try:
            write_card(run.directory, facts)
            return str(write_report(run.directory, run.config.lang, manifest=facts))
        except Exception as error:  # noqa: BLE001 - a page is not worth a model
            path = run.directory.path
            reason, again = last_resort(error) or error, f"luban report {typed(path)} --overwrite"
            text = f"no report could be made ({reason}); the model is saved: try `{again}`"
            run.note("report", text, warning=True)
            return None


def manifest(run: Run, prepared: Prepared) -> dict[str, Any]:
    parts, machine = prepared.parts, hardware()
    return {
        "luban": VERSION,
        "torch": torch.__version__,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "hardware": machine,
        "data": {
            "source": parts.train.table.name,
            "fingerprint": sources.fingerprint(parts.train.table),
            "test_fingerprint": sources.fingerprint(parts.test.table),
            "rows": {role: len(getattr(parts, role).rows) for role in ROLES},
        },
        "seconds": dict(run.seconds),
        **peak_memory(),
        "energy_estimate": energy_estimate(sum(run.seconds.values()), machine),
    }
