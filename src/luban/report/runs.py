"""The runs in a folder: listed, sorted, filtered, and compared on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ArtifactError, ConfigError, listed, nearest
from luban.report.charts import draw
from luban.report.content import Content, read_content
from luban.report.page import environment, style
from luban.report.sections.cost import duration
from luban.report.words import words

FILTERS = ("name", "task", "target", "data", "model", "metric")
WIDTH = 80  # of the table


def listing(folder: Path) -> list[Content]:
    """Read the finished runs in a folder. Raises ArtifactError where there is none."""
    found = [
        read_content(RunDirectory(path))
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if (path / artifact.MANIFEST).is_file() and (path / artifact.METRICS).is_file()
    ]
    if not found:
        raise ArtifactError(
            str(folder), expected="a folder with finished runs", found="none", action="Check the path, or train one"
        )
    return found


def seconds_of(content: Content) -> float:
    return float(sum((content.manifest.get("seconds") or {}).values()))


def facts_of(content: Content) -> dict[str, str]:
    """Return what a run can be filtered by."""
    from luban.report.sections.verdict import architecture

    return {
        "name": content.name,
        "task": str(content.metrics.get("task", "")),
        "target": content.target,
        "data": str(content.manifest.get("data", {}).get("source", "")),
        "model": architecture(content),
        "metric": content.decider,
    }


def select(found: Sequence[Content], sort: str, filters: Sequence[str]) -> list[Content]:
    """Filter by NAME=VALUE and sort. Raises ConfigError for a name that is not known, or where nothing is left."""
    kept = list(found)
    for item in filters:
        name, equals, value = item.partition("=")
        if not equals or name not in FILTERS:
            raise ConfigError(
                "--filter",
                expected=f"NAME=VALUE, the name one of {listed(FILTERS)}",
                found=f"'{item}'",
                action=f"{nearest(name, FILTERS)}Write it like --filter task=binary",
            )
        kept = [content for content in kept if facts_of(content)[name] == value]
        if not kept:
            raise ConfigError("--filter", expected="a run that fits", found=f"none with {item}", action="Ask for less")
    if sort == "date":
        return sorted(kept, key=lambda content: str(content.manifest.get("created", "")), reverse=True)
    if sort == "seconds":
        return sorted(kept, key=seconds_of)
    known = sorted({metric for content in kept for metric in content.metrics["scores"]})
    if sort not in known:
        raise ConfigError(
            "--sort",
            expected=f"date, seconds or a metric of these runs: {listed(known, 12)}",
            found=f"'{sort}'",
            action=f"{nearest(sort, known)}Choose one of them",
        )
    return sorted(kept, key=lambda content: _rank(content, sort))


def _rank(content: Content, metric: str) -> float:
    from luban.tasks import metrics

    tables = (metrics.BINARY, metrics.MULTICLASS, metrics.MULTI_LABEL, metrics.REGRESSION)
    lower = {item.name for table in tables for item in table if not item.higher_is_better}
    value = content.figures("scores", metric, "value").value
    return float("inf") if value is None else value if metric in lower else -value


def table(found: Sequence[Content]) -> Table:
    """Return the runs as a table that fits 80 characters."""
    shown = Table(box=None, pad_edge=False, width=WIDTH)
    for name, style_, ratio in (("run", "bold cyan", 4), ("task", "", 2), ("metric", "", 3), ("score", "", 5)):
        shown.add_column(name, style=style_, ratio=ratio, overflow="ellipsis", no_wrap=True)
    shown.add_column("time", justify="right", no_wrap=True)
    shown.add_column("made", no_wrap=True, style="dim")
    for content in found:
        cells = [
            content.name,
            facts_of(content)["task"],
            content.decider,
            str(content.figures.interval("scores", content.decider)),
        ]
        made = str(content.manifest.get("created", ""))[:10]
        shown.add_row(*(escape(cell) for cell in cells), duration(seconds_of(content)), made)
    return shown


def write_comparison(found: Sequence[Content], output: Path, lang: str = "en") -> Path:
    """Write one page that shows the runs side by side: scores, curves, cost."""
    language = words(lang)
    by_metric: dict[str, list[Content]] = {}
    for content in found:
        by_metric.setdefault(content.decider, []).append(content)
    charts = [
        draw.intervals(
            language.name("metric", metric),
            [(content.name, content.figures.interval("scores", metric)) for content in group],
            language.name("metric", metric),
            ("run", language.name("metric", metric)),
        )
        for metric, group in by_metric.items()
    ]
    label = language.plain("axis.loss")
    lines = [(c.name, [(float(s.step), s.loss) for s in c.steps]) for c in found if c.steps]
    charts += [draw.curves(label, lines[:6], language.plain("axis.step"), label)] if lines else []
    costs = [(content.name, seconds_of(content), duration(seconds_of(content))) for content in found]
    charts.append(draw.amounts(language.plain("section.cost"), costs, language.plain("axis.seconds"), ("run", "time")))
    rows: list[tuple[Any, ...]] = [
        (
            c.name,
            facts_of(c)["task"],
            facts_of(c)["data"],
            language.name("metric", c.decider),
            c.figures.interval("scores", c.decider),
            duration(seconds_of(c)),
            str(c.manifest.get("created", ""))[:16],
        )
        for c in found
    ]
    page = environment().get_template("runs.html").render(words=language, charts=charts, rows=rows, style=style())
    artifact.write_bytes(output, page.encode())
    return output
