"""The pages for people who see little, who hear them read aloud, and who have no mouse."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image
from tests.end_to_end.browser import CHROMIUM, Browser, browser
from tests.end_to_end.resealed import reseal
from tests.end_to_end.test_report import AUDIT, EXPLANATIONS, FULL_METRICS, SCORE

from luban.cli import main
from luban.core.artifact import RunDirectory
from luban.report.charts import draw
from luban.report.charts.plot import Chart
from luban.report.figures import Figure, Figures, Interval
from luban.report.language.words import words
from luban.report.page import environment, style, write_report
from luban.report.pictures.sequence import Spans, series_chart

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
CHECKS = Path(__file__).with_name("accessibility.js").read_text("utf-8")
ROWS = 120
PAGES = {  # and the language that each has to name
    "report": "en",
    "report-zh": "zh-Hans",
    "runs": "en",
    "runs-zh": "zh-Hans",
    "charts": "en",
    "trace-small": "en",
    "trace-large": "zh-Hans",
}


def command(*arguments: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["luban", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
    assert not left.value.code, arguments


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


def write_rows(folder: Path) -> None:
    """Rows for a network of two hidden units, and for one of three kinds of columns."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=ROWS).round(3)
    answers = np.where(x > 0, "yes", "no")
    pl.DataFrame({"x": x, "z": draws.normal(size=ROWS).round(3), "y": answers}).write_csv(folder / "small.csv")
    texts = [" ".join(draws.choice(["card", "bank", "loan", "rate", "lost", "fee"], 6)) for _ in range(ROWS)]
    pl.DataFrame({"x": x, "remark": texts, "y": answers}).write_csv(folder / "large.csv")
    (folder / "shape.png").write_bytes(png())
    soundfile.write(folder / "clip.wav", draws.normal(size=2000) / 9, 8000)


def complete(run: Path) -> None:
    """Give a run every block of the page: among its mistakes are a picture and a sound."""
    cells = {"x": "1", "z": "2", "a_name_without_a_blank" * 4: "3"}
    mistake = {"row": 3, "actual": "yes", "predicted": "no", "confidence": 0.9, "cells": cells}
    seen = [{**mistake, "media": {"shape": "shape.png"}}, {**mistake, "media": {"clip": "clip.wav"}}]
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    (run / "metrics.json").write_text(json.dumps(metrics | FULL_METRICS | {"mistakes": seen}), "utf-8")
    (run / "audit.json").write_text(json.dumps(AUDIT), "utf-8")
    picture = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    inputs = [
        {"column": "remark", "kind": "text", "parts": [{"text": f"w{n}", "weight": n / 9} for n in range(-9, 10)]},
        {"column": "x", "kind": "number", "parts": [{"value": "x = 1", "weight": 0.5}, {"bin": "low", "weight": -1}]},
        {"column": "shape", "kind": "image", "parts": [], "image": {"picture": picture, "heat": picture}},
    ]
    row = {**EXPLANATIONS["rows"][0], "inputs": inputs, "actual": "yes", "predicted": "no"}  # type: ignore[index]
    (run / "explanations.json").write_text(json.dumps({**EXPLANATIONS, "rows": [row]}), "utf-8")
    reseal(run)


def every_chart() -> list[Chart]:
    """Return a chart of each kind, with as many lines and classes as one can have."""
    draws = np.random.default_rng(0)
    walk = [(float(step), float(y)) for step, y in enumerate(draws.normal(size=40))]
    score = Interval(*(Figure("", SCORE[name]) for name in ("value", "low", "high")))
    scores = [("first", score), ("second", score)]
    counts = [(draws.integers(0, 9, 20) + 90 * (np.arange(20) == row)).tolist() for row in range(20)]
    small = [line[:3] for line in counts[:3]]
    series = {"steps": [0, 1, 2, 3], "values": [[1.0, 2.0, 0.5, 1.5], [0.0, 1.0, None, 3.0]], "numbers": [0, 1]}
    spanned = Figures(series | {"spans": [[0, 1], [2, 3]], "length": 4, "width": 2})
    spans = Spans([("0 to 1", 0.3, 1.0), ("2 to 3", -0.2, -0.7)])
    return [
        draw.curves("curves", [(f"line {n}", walk) for n in range(6)], "x", "y", dots=True, mark=(20.0, "chosen")),
        draw.reliability("reliability", [(score.value, score.low, Figure("", 9))], "x", "y", "rows", ""),
        draw.scatter("scatter", walk, "x", "y", diagonal=False),
        draw.intervals("intervals", scores, "x", ("name", "score")),
        draw.matrix("small matrix", list("abc"), small, "actual", "predicted", "rows", ""),
        draw.matrix("large matrix", [f"class {n}" for n in range(20)], counts, "actual", "predicted", "rows", ""),
        draw.bars("bars", scores, "x", ("name", "drop")),
        series_chart(spanned, "sensor", 1, words("en"), spans),
        draw.amounts("amounts", [("time", Figure("", 3.0)), ("more", Figure("", 9.0))], "s", ("name", "time")),
    ]


def write_charts(path: Path) -> None:
    language = words("en")
    group = {"title": "All charts", "metric": "accuracy", "rows": [], "charts": every_chart()}
    page = environment().get_template("runs.html")
    cost = draw.amounts("cost", [("time", Figure("", 3.0))], "s", ("name", "time"))
    path.write_text(page.render(words=language, count=1, groups=[group], cost=cost, style=style()), "utf-8")


@dataclass(frozen=True)
class Shown:
    folder: Path
    browser: Browser

    def open(self, page: str, scheme: str = "light") -> Browser:
        self.browser.prefer(scheme)
        self.browser.resize(1200)
        self.browser.open(self.folder / f"{page}.html")
        self.browser.run(CHECKS)
        self.browser.run("for (const folded of document.querySelectorAll('details')) folded.open = true")
        return self.browser


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Every page, and a browser to look at them."""
    folder = tmp_path_factory.mktemp("pages")
    write_rows(folder)
    short = (
        "--target",
        "y",
        "--no-preflight",
        "-q",
        "--set",
        "train.epochs=1",
        "--set",
        "evaluate.learning_curve=false",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LUBAN_CACHE", str(folder / "cache"))
        command("train", "small.csv", *short, "--set", "model.hidden=[2]")
        command("train", "large.csv", *short, "--set", "model={tokens: {architecture: lstm, dim: 8, hidden: 8}}")
        command("trace", "runs/small", 1, "-o", "trace-small.html")
        command("trace", "runs/large", 1, "-o", "trace-large.html", "--lang", "zh", "--steps", 2)
        complete(folder / "runs" / "small")
        for ending, language in (("", "en"), ("-zh", "zh")):
            write_report(RunDirectory(folder / "runs" / "small"), language, folder / f"report{ending}.html")
            write_comparison(folder / f"runs{ending}.html", language)
        write_charts(folder / "charts.html")
    with browser(folder) as started:
        yield Shown(folder, started)


def write_comparison(path: Path, language: str) -> None:
    from luban.report import runs

    runs.write_comparison(runs.listing(Path("runs")).runs, path, language)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_texts_and_marks_stand_out_from_what_is_behind_them(shown: Shown, page: str, scheme: str) -> None:
    found = shown.open(page, scheme)
    assert found.run("accessibility.texts()") > 20
    assert found.run("accessibility.textContrast()") == []
    assert found.run("accessibility.markContrast()") == []


@pytest.mark.parametrize("page", PAGES)
def test_all_that_is_seen_has_a_name_and_a_place(shown: Shown, page: str) -> None:
    assert shown.open(page).run(f"accessibility.structure({json.dumps(PAGES[page])})") == []


@pytest.mark.parametrize("page", PAGES)
def test_the_tab_key_reaches_everything_in_order_and_leaves_it_again(shown: Shown, page: str) -> None:
    found = shown.open(page)
    stops = found.run("accessibility.stops()")
    reached: list[int] = []
    for _ in range(10 * len(stops)):  # a sound has several stops of its own
        found.press("Tab")
        focus = found.run("accessibility.focused()")
        if focus is None or (focus["stop"] == 0 and len(reached) > 1):
            break
        assert focus["ratio"] >= 3, focus
        assert focus["isInView"], focus
        if reached[-1:] != [focus["stop"]]:
            reached.append(focus["stop"])
    assert reached == list(range(len(stops)))
    assert stops


def test_what_is_folded_opens_by_a_key(shown: Shown) -> None:
    found = shown.open("report")
    found.run("document.querySelector('details').open = false; document.querySelector('summary').focus()")
    found.press("Enter")
    assert found.run("document.querySelector('details').open")


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_beside_the_window_of_a_phone(shown: Shown, page: str) -> None:
    found = shown.open(page)
    found.resize(320)
    assert found.run("accessibility.overflow()") <= 0


FAULTS = {  # a page with one fault, and what is said of it
    "textContrast": [
        "<p style='color:#999'>pale</p>",
        "<p style='background:#333;color:#222'>dark on dark</p>",
        "<p style='opacity:.4'>faded</p>",
        "<svg role='img' aria-label='x'><rect width='90' height='90' fill='#333'/><text x='5' y='40'>b</text></svg>",
    ],
    "markContrast": ["<svg role='img' aria-label='x'><circle cx='9' cy='9' r='5' fill='#ddd'/></svg>"],
    "structure": [
        "<h3>skipped</h3>",
        "<img src='data:,'>",
        "<svg><path/></svg>",
        "<table><tr><th>no scope</th></tr></table>",
        "<table><tr><td>no head</td></tr></table>",
        "<span title='0.3'>a hint</span>",
        "<div tabindex='0'></div>",
        "<div style='overflow-x:auto;width:50px'><p style='width:90px'>cut</p></div>",
        "<section>no name</section>",
        "<a href='#nowhere'>lost</a>",
    ],
}


def test_faults_are_found(shown: Shown, tmp_path: Path) -> None:
    frame = "<!doctype html><html lang='en'><title>t</title><main><h1>h</h1>{}</main></html>"
    for check, faults in FAULTS.items():
        for fault in ["", *faults]:
            (tmp_path / "fault.html").write_text(frame.format(fault), "utf-8")
            found = Shown(tmp_path, shown.browser).open("fault").run(f"accessibility.{check}('en')")
            assert len(found) == bool(fault), (check, fault, found)


def test_pages_do_not_complain(shown: Shown) -> None:
    for page in PAGES:
        shown.open(page)
    assert shown.browser.complaints == []
