"""The runs in a folder: listed, sorted, filtered, and compared on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from markupsafe import Markup
from rich.table import Table

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ArtifactError, ConfigError, listed, nearest, typed
from luban.core.shown import as_page
from luban.report.charts import draw
from luban.report.charts.plot import Chart
from luban.report.content import Content, read_content
from luban.report.figures import Figure, Interval, pointer
from luban.report.language.words import Words, words
from luban.report.page import environment, style
from luban.report.sections.cost import duration, total
from luban.report.sections.verdict import architecture, created, made, model_of
from luban.report.wrapping import safe

FILTERS = ("name", "task", "target", "data", "model", "metric")
WIDTH = 80  # of the table
NAME_WIDTH, SCORE_WIDTH = 14, 21  # characters that a name has at least, and a score with its interval at most


@dataclass(frozen=True)
class Listing:
    """runs: the finished ones. unfinished: names of those that were interrupted or are under way. damaged: names of
    those that cannot be read, and why."""

    folder: Path
    runs: tuple[Content, ...]
    unfinished: tuple[str, ...] = ()
    damaged: tuple[tuple[str, str], ...] = ()

    def notes(self) -> list[str]:
        """Say what of the folder is not in the table."""
        found = [f"damaged: {reason}" for _, reason in self.damaged]
        if self.unfinished:
            names, path = ", ".join(self.unfinished), self.folder / self.unfinished[0]
            found.append(f"not finished: {names}. Go on with `luban train --resume {typed(path)}`")
        return found


def listing(folder: Path) -> Listing:
    """Read the runs in a folder. Raises ArtifactError where none is finished."""
    runs, unfinished, damaged = [], [], []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        run = RunDirectory(path)
        if run.has(artifact.MANIFEST):
            try:
                run.check_format()
                runs.append(sound(read_content(run)))
            except ArtifactError as error:
                damaged.append((path.name, str(error)))
            except (UnicodeDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
                damaged.append((path.name, f"{path}: not the files of a run ({type(error).__name__})"))
        elif run.has(artifact.CONFIG):
            unfinished.append(path.name)
    if not runs:
        other = Listing(folder, (), tuple(unfinished), tuple(damaged)).notes()
        raise ArtifactError(
            str(folder),
            expected="a folder with finished runs",
            found="; ".join(other) or "none",
            action="Check the path, or train one",
        )
    return Listing(folder, tuple(runs), tuple(unfinished), tuple(damaged))


def sound(content: Content) -> Content:
    """Return a run whose facts can be shown; raises what its files make them raise."""
    facts_of(content), seconds_of(content), content.figures.interval("scores", content.decider)
    content.metrics["scores"].keys()
    return content


def seconds_of(content: Content) -> float:
    return total(content).value or 0.0


def facts_of(content: Content) -> dict[str, str]:
    """Return what a run can be filtered by."""
    return {
        "name": content.name,
        "task": str(content.metrics.get("task", "")),
        "target": content.target,
        "data": str(content.manifest.get("data", {}).get("source", "")),
        "model": architecture(content),
        "metric": content.decider,
    }


def select(found: Sequence[Content], sort: str, filters: Sequence[str]) -> list[Content]:
    """Filter by NAME=VALUE, where * stands for anything, and sort.

    Raises ConfigError for a name that is not known, or where nothing is left.
    """
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
        kept = [content for content in kept if fnmatchcase(facts_of(content)[name].lower(), value.lower())]
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
    value = content.figures("scores", metric, "value").value
    return float("inf") if value is None else value if content.is_lower_better(metric) else -value


def table(found: Sequence[Content], sort: str = "date") -> Table:
    """Return the runs as a table that fits 80 characters. sort: the metric that is shown, if it is one."""
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), width=WIDTH)
    shown.add_column("run", style="bold cyan", ratio=1, min_width=NAME_WIDTH, overflow="ellipsis", no_wrap=True)
    shown.add_column("task", no_wrap=True, max_width=11)
    shown.add_column("metric", no_wrap=True, max_width=12, overflow="ellipsis")
    shown.add_column("score", no_wrap=True)
    shown.add_column("time", justify="right", no_wrap=True)
    shown.add_column("made", no_wrap=True, style="dim")
    for content in found:
        metric = content.decider if sort in ("date", "seconds") else sort
        cells = [
            content.name,
            facts_of(content)["task"],
            metric,
            scored_briefly(content.figures.interval("scores", metric)),
        ]
        time = duration(seconds_of(content)).removesuffix(" min")
        shown.add_row(*(safe(cell) for cell in cells), time, created(content)[5:])
    return shown


def scored_briefly(score: Interval) -> str:
    """Return a score, with its interval where both fit."""
    return str(score) if len(str(score)) <= SCORE_WIDTH else str(score.value)


def write_comparison(found: Sequence[Content], output: Path, lang: str = "en") -> Path:
    """Write one page that shows the runs side by side: scores, curves, cost. What it shows names its run."""
    language = words(lang)
    found = [replace(content, is_one_of_many=True) for content in found]
    by_task: dict[tuple[str, str, str], list[Content]] = {}
    for content in found:
        facts = facts_of(content)
        by_task.setdefault((content.decider, facts["data"], facts["target"]), []).append(content)
    groups = [
        {
            "title": Markup("{} · {}").format(group[0].facts.text("data", "source"), target),
            "metric": language.name("metric", metric),
            "rows": scored(group, metric),
            "charts": [curve] if (curve := losses(group, language)) is not None else [],
        }
        for (metric, _, target), group in by_task.items()
    ]
    costs = [(content.name, total(content)) for content in found]
    cost = draw.amounts(
        language.plain("section.cost"),
        costs,
        language.plain("axis.seconds"),
        (language.plain("run"), language.plain("column.time")),
    )
    page = (
        environment()
        .get_template("runs.html")
        .render(words=language, count=counted(found), groups=groups, cost=cost, style=style())
    )
    artifact.write_bytes(output, as_page(page))
    return output


def counted(found: Sequence[Content]) -> Figure:
    """Return how many runs there are, each by an entry of its own."""
    return Figure(" ".join(content.facts.source("created") for content in found), len(found), derived="runs")


def scored(group: Sequence[Content], metric: str) -> list[tuple[object, ...]]:
    """Return name, strip, score, model, time and date of runs of one task, the best first."""
    ranked = sorted(group, key=lambda content: _rank(content, metric))
    scores = [content.figures.interval("scores", metric) for content in ranked]
    strips = draw.strips(scores, scores[0].value)
    return [
        (content.name, strips[index], scores[index], model_of(content), total(content), made(content))
        for index, content in enumerate(ranked)
    ]


def losses(group: Sequence[Content], language: Words) -> Chart | None:
    """Draw the losses of at most six runs."""
    label = language.plain("axis.loss")
    lines = [(c.name, [(float(s.step), s.loss) for s in c.steps]) for c in group if c.steps]
    source = " ".join(
        pointer(content.file(artifact.HISTORY), "StepDone", field)
        for content in [content for content in group if content.steps][:6]
        for field in ("step", "loss")
    )
    return draw.curves(label, lines[:6], language.plain("axis.step"), label, source=source) if lines else None
