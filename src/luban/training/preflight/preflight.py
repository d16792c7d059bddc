"""The checks of a run before time is spent on it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from luban.core.errors import TrainingError
from luban.core.events import PreflightDone
from luban.core.machine.resources import used_memory
from luban.training.preflight import estimate
from luban.training.preflight.estimate import Estimate
from luban.training.preflight.independence import check_inputs, check_neighbours
from luban.training.preflight.learnability import check_learning
from luban.training.preflight.trial import Check, Trial


@dataclass(frozen=True)
class Preflight:
    """What the checks found, and what the run will take. seconds: that preflight itself took."""

    checks: tuple[Check, ...]
    estimate: Estimate
    seconds: float

    def raise_failures(self) -> None:
        """Raise TrainingError for the first check that failed."""
        failed = [check for check in self.checks if check.status == "failed"]
        if failed:
            first, others = failed[0], len(failed) - 1
            more = f" (and {others} more check{'s' * (others > 1)} failed)" if others else ""
            raise TrainingError(
                f"pre-flight, {first.name}",
                expected=first.expected,
                found=f"{first.found}{more}",
                action=f"{first.action}, or skip the checks with --no-preflight",
            )

    def event(self) -> PreflightDone:
        """Return what listeners are told."""
        return PreflightDone([asdict(check) for check in self.checks], asdict(self.estimate), self.seconds)


def preflight(trial: Trial) -> Preflight:
    """Check that a run can work and that it fits this machine, in seconds.

    Works on a copy: the network and torch's random state stay as they are, to the bit. Where not even the weights fit
    into memory, nothing is tried.
    """
    start = time.monotonic()
    held, more = used_memory(trial.device), estimate.state_bytes(trial)
    checks = [estimate.check_memory(trial, more), estimate.check_disk(trial)]
    step_seconds: float | None = None
    if all(check.status == "passed" for check in checks):
        copied = trial.copy()
        copied.network.eval()
        # In this order: the later ones train the copy.
        about_network = [check_inputs(copied, copied.network), check_neighbours(copied, copied.network)]
        about_network = check_learning(copied) + about_network
        if all(check.status != "failed" for check in about_network):
            step_seconds, activations = estimate.measure(copied)
            more += estimate.activation_bytes(trial, activations)
            checks[0] = estimate.check_memory(trial, more)
        checks = about_network + checks
    expected = Estimate(
        epochs=trial.config.epochs,
        steps=trial.budget.steps,
        step_seconds=step_seconds,
        seconds=None if step_seconds is None else estimate.total_seconds(trial, step_seconds),
        memory_bytes=held + more,
        disk_bytes=estimate.disk_bytes(trial),
    )
    return Preflight(tuple(checks), expected, time.monotonic() - start)
