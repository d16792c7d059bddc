"""The page of a run: what it shows is in the run's files, and nothing of the data can run in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.end_to_end.browser import CHROMIUM, FLAGS
from tests.end_to_end.report_sources import unsourced
from tests.end_to_end.resealed import reseal

from luban.core.artifact import RunDirectory
from luban.report.language.words import texts_of

DUMPED = ("--enable-logging=stderr", "--v=0", "--dump-dom")
EVIL = "<script>alert(1)</script>"
SCORE = {"value": 0.7, "low": 0.6, "high": 0.8}
WEAK = {"column": EVIL, "value": EVIL, "rows": 9, "score": SCORE, "difference": -0.2, "p_adjusted": 0.01, "worse": True}
FULL_METRICS = {
    "calibration": {
        "metric": "ece",
        "ece": {"value": 0.1, "low": 0.08, "high": 0.12},
        "ece_uncalibrated": SCORE,
        "temperature": 1.5,
        "fitted_rows": 9,
        "bins": [{"low": 0, "high": 1, "rows": 9, "confidence": 0.8, "accuracy": 0.7}],
    },
    "threshold": {
        "label": EVIL,
        "goal": EVIL,
        "threshold": 0.4,
        "default": 0.5,
        "scores": {"f1": SCORE},
        "default_scores": {"f1": SCORE},
        "curve": [{"threshold": t / 9, "precision": 0.5, "recall": 1 - t / 9, "f1": 0.4} for t in range(10)],
    },
    "conformal": {
        "level": 0.9,
        "coverage": SCORE,
        "sizes": {"1": 9},
        "mean_size": 1.0,
        "half_width": None,
        "fitted_rows": 9,
        "holds": False,
    },
    "slices": {"metric": "accuracy", "overall": 0.9, "looked_at": 3, "found": [WEAK]},
    "mistakes": [
        {"row": 3, "actual": EVIL, "predicted": EVIL, "confidence": 0.99, "cells": {EVIL: EVIL}, "media": {EVIL: EVIL}}
    ],
    "confusions": [{"actual": EVIL, "predicted": EVIL, "rows": 3, "share": 0.3}],
    "robustness": [{"corruption": EVIL, "column": EVIL, "score": SCORE, "difference": -0.3}],
    "learning_curve": {
        "model": EVIL,
        "metric": "accuracy",
        "verdict": EVIL,
        "points": [{"rows": 5, "score": 0.5}, {"rows": 9, "score": None}, {"rows": 20, "score": 0.6}],
    },
    "fairness": {
        "column": EVIL,
        "groups": [{"value": EVIL, "rows": 9, "rates": {"accuracy": SCORE}}],
        "gaps": [{"rate": "accuracy", "gap": SCORE, "between": [EVIL, EVIL]}],
    },
}
AUDIT = {
    "name": EVIL,
    "rows": 9,
    "seconds": 0.1,
    "checks": ["x"],
    "findings": [
        {
            "severity": "warning",
            "check": "x",
            "column": EVIL,
            "message": EVIL,
            "rows": 1,
            "action": EVIL,
            "setting": EVIL,
            "examples": [{"row": 1, "cells": {EVIL: EVIL}}, {"row": 2, "note": EVIL}],
        }
    ],
    "suspects": [{"row": 1, "label": EVIL, "suggested": EVIL, "probability": 0.9, "cells": {EVIL: EVIL}}],
}
EXPLANATIONS = {
    "importance": [{"column": EVIL, "drop": SCORE}],
    "metric": "accuracy",
    "rows": [
        {
            "row": 1,
            "predicted": EVIL,
            "probability": 0.9,
            "method": EVIL,
            "inputs": [
                {
                    "column": EVIL,
                    "kind": "text",
                    "parts": [{"text": EVIL, "weight": -0.5}],
                    "image": {"heat": EVIL, "picture": "https://example.org/x.png"},
                }
            ],
            "check": {"deletion": 0.1, "random": 0.2, "stability": None, "passes": False, "sentence": EVIL},
        }
    ],
}


def write_rows(path: Path, rows: int = 240) -> None:
    """A table whose cells, labels and column name are scripts."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=rows)
    pl.DataFrame(
        {
            EVIL: x.round(4),
            "kind": [EVIL if v > 0 else "b" for v in draw.normal(size=rows)],
            "y": [EVIL if v > 0 else "<img src=x onerror=alert(2)>" for v in x],
        }
    ).write_csv(path)


@pytest.fixture
def run(luban, tmp_path: Path) -> Path:
    write_rows(tmp_path / "<script>rows.csv")
    result = luban("train", "<script>rows.csv", "--target", "y", "--name", "<b>run", "--set", "train.epochs=2")
    assert result.code == 0, result.err
    assert "report.html" in result.out
    return tmp_path / "runs" / "<b>run"


def complete(run: Path) -> None:
    """Give a run every block that the other stages may write."""
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    (run / "metrics.json").write_text(json.dumps(metrics | FULL_METRICS), "utf-8")
    (run / "audit.json").write_text(json.dumps(AUDIT), "utf-8")
    (run / "explanations.json").write_text(json.dumps(EXPLANATIONS), "utf-8")
    reseal(run)


def assert_inert(page: str) -> None:
    assert "<script" not in page
    assert "onerror=alert(2)>" not in page
    assert "https:" not in page
    assert "http:" not in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_block_is_shown_and_escaped(run: Path, language: str) -> None:
    from luban.report.page import write_report

    page = (run / "report.html").read_text("utf-8")
    assert_inert(page)
    assert not unsourced(page, run)
    complete(run)
    page = write_report(RunDirectory(run), language).read_text("utf-8")
    assert_inert(page)
    assert page.count("<data ") > 40
    assert not unsourced(page, run)
    for name in ("data", "training", "evaluation", "slices", "mistakes", "explanations", "preflight", "cost", "usage"):
        assert f'<section id="{name}"' in page
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert page.count("<svg") == len(re.findall(r'<svg[^>]* (?:role="img" aria-label="|aria-hidden="true")', page))
    assert page.count("<svg") == len(re.findall(r'<svg[^>]* data-source="[^"]', page))
    assert len(page) < 3_000_000


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'<data value="0\.\d+"', '<data value="0.123456"'),  # a number that is nowhere
        (r' data-source="metrics.json#/rows"', ""),
        ("metrics.json#/scores/accuracy/value", "metrics.json#/scores/accuracy/low"),
        (r"<h2", "<p>42 rows</p><h2"),
        (r"passed</td>", "passed in 17 s</td>"),
    ],
)
def test_a_figure_without_a_source_is_found(run: Path, old: str, new: str) -> None:
    page = (run / "report.html").read_text("utf-8")
    changed = re.sub(old, new, page, count=1)
    assert changed != page
    assert unsourced(changed, run)


def test_card_is_escaped_and_run_stays_sealed(run: Path, luban) -> None:
    card = (run / "README.md").read_text("utf-8")
    assert card.startswith("---\nlibrary_name: luban\n")
    body = card.split("---\n", 2)[2].split("```")[0]
    assert "<" not in body
    assert luban("report", run, "--lang", "zh", "--overwrite").code == 0
    assert 'lang="zh-Hans"' in (run / "report.html").read_text("utf-8")
    RunDirectory.open(run)


def test_languages_have_the_same_texts() -> None:
    assert texts_of("en").keys() == texts_of("zh").keys()
    for key, text in texts_of("en").items():
        assert set(re.findall(r"{(\w+)}", text)) == set(re.findall(r"{(\w+)}", texts_of("zh")[key])), key


def test_failure_of_the_report_keeps_the_model(luban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from luban.report import page

    monkeypatch.setattr(page, "render", lambda *_: 1 / 0)
    write_rows(tmp_path / "rows.csv")
    result = luban("train", "rows.csv", "--target", "y", "--set", "train.epochs=1")
    assert result.code == 0
    assert "no report could be made (division by zero); the model is saved" in result.out
    RunDirectory.open(tmp_path / "runs" / "rows")


def test_bad_input(run: Path, luban, tmp_path: Path) -> None:
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "config.yaml").write_text("{}")
    (tmp_path / "runs2" / "stopped").mkdir(parents=True)
    (tmp_path / "runs2" / "stopped" / "config.yaml").write_text("{}")
    for arguments, words in [
        (("report", tmp_path), ("run directory", "none")),
        (("report", "unfinished"), ("did not finish",)),
        (("report", run), ("report.html", "--overwrite")),
        (("report", run, "--lang", "fr", "--overwrite"), ("--lang", "'fr'")),
        (("report", run, "-o", "page.pdf"), ("'.pdf'",)),
        (("runs", "runs2"), ("finished runs", "not finished: stopped")),
        (("runs", "runs", "--sort", "acuracy"), ("--sort", "Did you mean 'accuracy'?")),
        (("runs", "runs", "--filter", "tusk=binary"), ("--filter", "Did you mean 'task'?")),
        (("runs", "runs", "--filter", "task=regression"), ("--filter", "none")),
    ]:
        result = luban(*arguments)
        assert result.code == 1, arguments
        assert result.err.startswith("luban: "), arguments
        assert len(result.err.strip().splitlines()) == 1, result.err
        for word in words:
            assert word in result.err


def test_each_figure_of_a_comparison_names_its_run(run: Path, luban, tmp_path: Path) -> None:
    other = run.parent / "another, 2"
    shutil.copytree(run, other)
    metrics = json.loads((other / "metrics.json").read_text("utf-8"))
    metrics["scores"]["accuracy"] = {"value": 0.123, "low": 0.0987, "high": 0.1456}
    (other / "metrics.json").write_text(json.dumps(metrics), "utf-8")
    reseal(other)
    assert luban("runs", "runs", "--html", "all.html").code == 0
    page = (tmp_path / "all.html").read_text("utf-8")
    assert "another%2C%202/metrics.json#/scores/accuracy/value" in page
    assert not re.search(r'aria-label="[^"]*<', page)
    assert not unsourced(page, run.parent)
    assert not re.findall(r'data-source="(?!another|%3Cb%3Erun/)', page)
    for old, new in (("another%2C%202/metrics", "%3Cb%3Erun/metrics"), ("another%2C%202/metrics", "metrics")):
        assert unsourced(page.replace(old, new), run.parent)


def test_runs_are_listed_and_compared(run: Path, luban, tmp_path: Path) -> None:
    shutil.copytree(run, run.parent / "other")
    shutil.copytree(run, run.parent / "damaged")
    (run.parent / "damaged" / "metrics.json").write_text('{"rows": 3')
    shutil.copytree(run, run.parent / "empty")
    (run.parent / "empty" / "metrics.json").write_text("{}")
    reseal(run.parent / "empty")
    shutil.copytree(run, run.parent / "newer")
    manifest = (run / "manifest.json").read_text("utf-8").replace('"format": 1', '"format": 2')
    (run.parent / "newer" / "manifest.json").write_text(manifest, "utf-8")
    (run.parent / "stopped").mkdir()
    shutil.copy(run / "config.yaml", run.parent / "stopped")
    result = luban("runs", "runs", "--sort", "log_loss", "--filter", "task=binary", "--html", "all.html")
    assert result.code == 0, result.err
    assert "other" in result.out
    rows = [line for line in result.out.splitlines() if "binary" in line]
    assert len(rows) == 2
    assert all(len(line) <= 80 and "log_loss" in line for line in rows)
    assert (
        "damaged: runs/damaged/metrics.json: expected the file that the training wrote, found one that was"
        in result.out
    )
    assert "damaged: runs/empty/metrics.json: expected what a training stored, found rows: field required" in result.out
    assert "damaged: runs/newer/manifest.json: expected format 1, found format 2" in result.out
    assert "not finished: stopped. Go on with `luban train --resume runs/stopped`" in result.out
    page = (tmp_path / "all.html").read_text("utf-8")
    assert_inert(page)
    assert all("<" not in label for label in re.findall(r'aria-label="([^"]*)"', page))
    assert "other" in luban("runs", "runs", "--filter", "name=OTH*").out


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_browser_shows_it_without_a_complaint(run: Path, tmp_path: Path) -> None:
    from luban.report.page import write_report

    complete(run)
    path = write_report(RunDirectory(run), output=tmp_path / "page.html")
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, *DUMPED, f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr
    assert len(re.findall(r"<svg[^>]* aria-label=", done.stdout)) >= 10
    assert "<script" not in done.stdout
