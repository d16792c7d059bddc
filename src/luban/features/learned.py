"""What was learned of a column, in a few words that a page can say in other languages, too."""

from __future__ import annotations

from collections.abc import Iterable

from luban.core.sentence import Sentence, sentence


def clauses(found: Iterable[Sentence | None]) -> Sentence:
    """Return clauses as one text, those that are None left out."""
    return sentence("learned.all", "{clauses}", clauses=[clause for clause in found if clause is not None])


def missing(count: float, rows: float = 1.0) -> Sentence | None:
    """Return what share of the rows is missing; None where there are none."""
    return sentence("learned.missing", "{share:.1%} missing", share=count / rows) if count else None
