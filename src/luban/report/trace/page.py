"""The page of one training step: a single HTML file without scripts and without the network."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from luban.core.sentence import with_parts
from luban.explain.trace.formulas import number
from luban.explain.trace.row import RowTrace
from luban.report.figures import Figures, Quote
from luban.report.language.sentences import named, told
from luban.report.language.trace import words
from luban.report.language.words import words as report_words
from luban.report.trace.diagram import diagram, histogram, shown


def render(found: RowTrace, language: str = "en") -> str:
    """Return the page in `en` or `zh`. All that comes from the data is escaped."""
    environment = Environment(
        loader=PackageLoader("luban.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "shown": shown, "bars": lambda counts: Markup(histogram(counts))}
    word, report = words(language), report_words(language)
    notes = Figures(with_parts({"notes": found.notes}), "trace")
    kinds = [named("kind", Quote("", item.kind), report).text for item in found.inputs]
    svg = Markup(diagram(found, word["svg"], kinds))
    return environment.get_template("trace.html.jinja").render(
        found=found,
        trace=found.trace,
        w=word,
        language=report.tag,
        svg=svg,
        task=report.name("task", found.task),
        kinds=kinds,
        notes=[told(notes.text("notes", place), report) for place in range(len(found.notes))],
    )


def summary(found: RowTrace) -> list[str]:
    """Return a few lines for the terminal."""
    trace = found.trace
    verdict = "passed" if trace.check_passed else "FAILED"
    corners = f", {trace.kinks} at corners" if trace.kinks else ""
    return [
        *(f"note       {note}" for note in found.notes),
        f"row        {found.row} of {found.source}",
        f"loss       {trace.loss:.6g} before, {trace.loss_after:.6g} after {len(trace.steps)} step(s) of "
        f"{trace.optimizer} at {trace.settings['learning_rate']:g}",
        f"gradients  {verdict}: {trace.checked} weights checked{corners}, largest error {trace.check_error:.1e}",
    ]
