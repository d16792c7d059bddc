"""What a decision threshold is chosen for: the best F1, a recall or precision to reach, the lowest cost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["f1", "balanced_accuracy", "recall", "precision", "cost"]

FORMS = "f1, balanced_accuracy, recall>=0.95, precision>=0.9 or cost:FP=1,FN=5"
NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"


@dataclass(frozen=True)
class Goal:
    """text: as it was stated. least: of a recall or precision to reach. false_positive, false_negative: their costs."""

    text: str
    kind: Kind
    least: float = 0.0
    false_positive: float = 0.0
    false_negative: float = 0.0


def parse_goal(text: str) -> Goal:
    """Read a goal. Raises ValueError, which says what forms there are."""
    words = text.replace(" ", "")
    if words == "f1":
        return Goal(text, "f1")
    if words == "balanced_accuracy":
        return Goal(text, "balanced_accuracy")
    for kind in ("recall", "precision"):
        found = re.fullmatch(rf"{kind}>={NUMBER}", words)
        if found and 0 < float(found[1]) <= 1:
            return Goal(text, "recall" if kind == "recall" else "precision", least=float(found[1]))
    found = re.fullmatch(rf"cost:FP={NUMBER},FN={NUMBER}", words, re.IGNORECASE)
    if found and float(found[1]) + float(found[2]) > 0:
        return Goal(text, "cost", false_positive=float(found[1]), false_negative=float(found[2]))
    raise ValueError(f"one of {FORMS}")
