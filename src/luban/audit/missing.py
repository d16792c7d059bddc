"""Missing cells: many, or in rows with other answers than the rest."""

from __future__ import annotations

import numpy as np

from luban.audit.finding import Finding, Severity
from luban.audit.subject import PROSE_KINDS, Subject, percent
from luban.core.answers import AnswerKind
from luban.core.sentence import sentence
from luban.features.cells import hashes, strings
from luban.features.number import parse_numbers

MOST = 0.5
MIN_ROWS = 30  # that are missing, and as many that are there
SMALLEST_P = 1e-6
CLEAR, STRONG = 0.15, 0.4  # Cramér's V, or a correlation


def audit_missing_cells(subject: Subject) -> list[Finding]:
    """Find columns most of whose cells are missing, and those where that tells the answer."""
    findings = []
    for name in subject.inputs:
        cells = subject.frame[name]
        if cells.dtype.is_nested() or subject.kinds[name] in PROSE_KINDS[1:]:
            is_missing = cells.is_null().to_numpy()
        else:
            is_missing = hashes(cells).is_null().to_numpy()
            if cells.dtype.is_float():
                is_missing |= cells.is_nan().fill_null(True).to_numpy()
            elif subject.missing_values and subject.kinds[name] in ("number", "date"):
                is_missing |= strings(cells).is_in(list(subject.missing_values)).fill_null(False).to_numpy()
        rows = np.flatnonzero(is_missing)
        if len(rows) > MOST * len(subject):
            setting = f"data.columns: {{{name}: ignore}}"
            share = percent(len(rows), len(subject))
            message = sentence("audit.missing-cells.found", "{share} of the cells are missing", share=share)
            action = sentence("audit.missing-cells.action", "Fill them in, or leave it out: {setting}", setting=setting)
            findings.append(Finding("note", "missing-cells", message, action, name, len(rows), setting=setting))
        effect = _effect(subject, is_missing)
        if effect >= CLEAR:
            message = sentence(
                "audit.missing-cells.found_telling",
                "whether a cell is missing goes with the answer (strength {effect:.2f} of 1)",
                effect=effect,
            )
            action = sentence(
                "audit.missing-cells.action_telling",
                "Ask why: where a cell is filled in after the answer is known, the model learns that; "
                "leave it out then",
            )
            seen = subject.examples(rows, (name, subject.target or name))
            setting = f"data.columns: {{{name}: ignore}}"
            severity: Severity = "warning" if effect >= STRONG else "note"
            findings.append(Finding(severity, "missing-cells", message, action, name, len(rows), seen, setting))
    return findings


def _effect(subject: Subject, is_missing: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    """Return how strongly missing cells go with the target, 0 where that may be chance: Cramér's V of the classes, the
    correlation with numbers."""
    if min(is_missing.sum(), (~is_missing).sum()) < MIN_ROWS or subject.target is None:
        return 0.0
    if subject.answer == AnswerKind.NUMBER:
        values, _ = parse_numbers(subject.frame[subject.target])
        known = np.isfinite(values)
        if min(is_missing[known].sum(), (~is_missing[known]).sum()) < MIN_ROWS or np.ptp(values[known]) == 0:
            return 0.0
        from scipy.stats import pearsonr  # takes most of a second to import, and few tables need it

        found = pearsonr(is_missing[known].astype(float), values[known] / (np.abs(values[known]).max() or 1.0))
        return abs(float(found.statistic)) if found.pvalue < SMALLEST_P else 0.0
    if not subject.has_classes:
        return 0.0
    codes = subject.labels.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    known = codes > 0
    table = np.stack(
        [np.bincount(codes[known & side], minlength=codes.max() + 1)[1:] for side in (is_missing, ~is_missing)]
    )
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any() or table.shape[1] > MIN_ROWS + len(subject) // 10:
        return 0.0
    from scipy.stats import chi2_contingency

    statistic, p, _, _ = chi2_contingency(table)
    return float(np.sqrt(statistic / table.sum())) if p < SMALLEST_P else 0.0
