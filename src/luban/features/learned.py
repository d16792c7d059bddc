"""What was learned of a column, in a few words that a page can say in other languages, too."""

from __future__ import annotations

from collections.abc import Iterable

from luban.core.sentence import Sentence, sentence

MOSTLY, TIMES = 0.5, 5  # from which share on, and how many times that of training, missing cells are told


def clauses(found: Iterable[Sentence | None]) -> Sentence:
    """Return clauses as one text, those that are None left out."""
    return sentence("learned.all", "{clauses}", clauses=[clause for clause in found if clause is not None])


def missing(count: float, rows: float = 1.0) -> Sentence | None:
    """Return what share of the rows is missing; None where there are none."""
    return sentence("learned.missing", "{share:.1%} missing", share=count / rows) if count else None


def lacking(column: str, count: int, rows: int, trained: float) -> list[Sentence]:
    """Return that cells are missing which training never lacked, or seldom, as one sentence; nothing where it is
    usual. trained: the share of missing cells in training."""
    share = count / max(rows, 1)
    if not count or (trained and not (share >= MOSTLY and share >= TIMES * trained)):
        return []
    values = {"column": column, "count": count, "rows": rows, "share": share}
    if trained:
        return [
            sentence(
                "lacking.more",
                "column '{column}': {count} of {rows} rows are empty ({share:.0%}), in training {trained:.1%}",
                **values,
                trained=trained,
            )
        ]
    return [
        sentence(
            "lacking.never",
            "column '{column}': {count} of {rows} rows are empty ({share:.0%}), which training never lacked",
            **values,
        )
    ]
