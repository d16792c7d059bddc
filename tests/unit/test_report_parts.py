"""Parts of the report: names of slices, charts, media, cost."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from luban.core.machine.cost import energy_estimate, peak_memory
from luban.report.charts import draw
from luban.report.charts.plot import HEIGHT, LEGEND, TOP
from luban.report.content import Content, Record, read_history
from luban.report.figures import Figure, Figures, Interval, pointer, shown
from luban.report.language.slices import between, slice_name
from luban.report.language.words import words
from luban.report.media import Media
from luban.report.page import environment
from luban.report.pictures import PICTURES
from luban.report.pictures.base import Piece
from luban.report.runs import scored_briefly
from luban.report.sections import data
from luban.report.sections.evaluation import goal_name
from luban.report.worries import worries

SCORE = {"value": 0.7, "low": 0.6, "high": 0.8}
METRICS = {"rows": 900, "task": "binary", "decider": "accuracy", "scores": {"accuracy": SCORE}}


def content(**metrics: object) -> Content:
    return Content(Path("run"), {}, {}, METRICS | metrics, {}, {}, {}, (), ())


@pytest.mark.parametrize(
    ("parts", "english", "chinese"),
    [
        ([("sex", "'Female'")], "sex is 'Female'", "sex = “Female”"),
        (
            [("bread and butter", "'arts and crafts'"), ("age", "51 to 80")],
            "bread and butter is 'arts and crafts' and age is 51 to 80",
            "bread and butter = “arts and crafts” 且 age = 51 至 80",
        ),
        ([("text", "3 to 8 words")], "text is 3 to 8 words", "text = 3 至 8 个词"),
        ([("text", "7 characters")], "text is 7 characters", "text = 7 个字符"),
        ([("steps", "3 to 8 long")], "steps is 3 to 8 long", "steps = 3 至 8 步"),
        ([("day", "2020-01-01 to 2021-02-03")], "day is 2020-01-01 to 2021-02-03", "day = 2020-01-01 至 2021-02-03"),
        ([("x", "missing"), ("y", "'missing'")], "x is missing and y is 'missing'", "x = 缺失 且 y = “missing”"),
        ([("x", "''"), ("y", "'1 to 2'")], "x is '' and y is '1 to 2'", "x = “” 且 y = “1 to 2”"),
        ([("{x}", "'{y}'")], "{x} is '{y}'", "{x} = “{y}”"),
    ],
)
def test_a_slice_is_named_by_its_parts(parts: list[tuple[str, str]], english: str, chinese: str) -> None:
    item = {"column": "?", "value": "?", "parts": [{"column": column, "value": value} for column, value in parts]}
    assert slice_name(item, words("en")) == english
    assert slice_name(item, words("zh")) == chinese


def test_a_slice_of_a_file_without_parts_keeps_its_names() -> None:
    assert slice_name({"column": "age and job", "value": "51 to 80 and 'clerk'"}, words("en")) == (
        "age and job is 51 to 80 and 'clerk'"
    )


def test_the_worst_slice_is_told_alike_in_the_terminal_and_on_the_page() -> None:
    from luban.report.judgement_table import short_lines
    from luban.report.sections.verdict import told

    parts = [{"column": "bread and butter", "value": "'a & b'"}, {"column": "age", "value": "40 to 65"}]
    worst = {"column": "-", "value": "-", "parts": parts, "rows": 90, "score": SCORE, "worse": True, "p_adjusted": 0.01}
    found = {"metric": "accuracy", "overall": 0.9, "looked_at": 3, "found": [worst]}
    assert short_lines({"slices": found}) == [
        ("worst slice", "accuracy 0.700 where bread and butter is 'a & b' and age is 40 to 65 (90 rows), 0.900 on all")
    ]
    (worry,) = worries(content(slices=found))
    assert "bread and butter is &#39;a &amp; b&#39; and age is 40 to 65" in told(worry, words("en"))
    assert "bread and butter = “a &amp; b” 且 age = 40 至 65" in told(worry, words("zh"))


def test_scores_of_few_rows_are_doubted() -> None:
    from luban.report.judgement_table import short_lines

    (line,) = short_lines({"rows": 3})
    assert line == ("few rows", "scores of 3 test rows say little: their intervals are wide")
    confusion = {"actual": "a", "predicted": "b", "rows": 1, "share": 0.2}
    (_, line) = short_lines({"rows": 1, "confusions": [confusion]})
    assert line[1].startswith("'a' is taken for 'b' in 1 row, ")
    assert short_lines({"rows": 30}) == []


def test_large_numbers_are_told_in_their_unit() -> None:
    from luban.report.judgement_table import short_lines

    def told(difference: float) -> list[tuple[str, str]]:
        loss = {"score": {"value": 9e8}, "difference": difference, "corruption": "noise", "column": "area"}
        scores = {"mse": {"value": 632974512.2}}
        return short_lines({"task": "regression", "decider": "mse", "scores": scores, "robustness": [loss]})

    assert told(2004005576.072) == [("robustness", "noise in 'area' changes mse by +2,004,005,576")]
    assert told(1000.0) == []  # a millionth of the score


def test_a_gap_between_groups_is_told_in_words() -> None:
    gap = {"rate": "selection_rate", "gap": {"value": 0.3, "low": 0.2, "high": 0.4}, "between": ["'a'", "'b'"]}
    found = content(fairness={"column": "sex", "groups": [], "gaps": [gap]})
    from luban.report.sections.verdict import told

    texts = [str(told(worry, words(language))) for worry in worries(found) for language in ("en", "zh")]
    assert "rate of positive answers by" in texts[0]
    assert "正类预测率" in texts[1]
    assert all("a / b" in text and "selection_rate" not in text and "'" not in text for text in texts)


def test_groups_of_a_column_are_named_in_the_language_of_the_page() -> None:
    groups = ["'a'", "missing", "51 to 80", "'51 to 80'", "''"]
    assert between(groups, words("en")) == "a / missing / 51 to 80 / 51 to 80 / ''"
    assert between(groups, words("zh")) == "a / 缺失 / 51 至 80 / 51 to 80 / ''"


@pytest.mark.parametrize(
    ("goal", "english", "chinese"),
    [
        ("f1", "F1", "F1"),
        ("recall >= 0.95", "recall ≥ 0.95", "召回率 ≥ 0.95"),
        ("cost:FP=1,FN=5", "cost:FP=1,FN=5", "cost:FP=1,FN=5"),
    ],
)
def test_a_goal_is_named_in_the_language_of_the_page(goal: str, english: str, chinese: str) -> None:
    assert [goal_name(goal, words(language)) for language in ("en", "zh")] == [english, chinese]


def test_a_lead_that_may_be_chance_is_not_called_a_loss() -> None:
    def keys(difference: float) -> list[str]:
        compared = {"baseline": "linear", "metric": "accuracy", "difference": {"value": difference}, "beats": False}
        return [worry.key for worry in worries(content(comparisons=[compared], baselines={"linear": {}}))]

    assert keys(0.01) == ["baseline_unsure"]
    assert keys(-0.01) == ["baseline"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (12, "12"),
        (12.0, "12.00"),
        (102.06, "102.1"),
        (999.96, "1000"),
        (1234.5, "1,234"),
        (0.5, "0.500"),
        (3e-4, "0.0003"),
    ],
)
def test_numbers_keep_their_digits(number: float, text: str) -> None:
    assert shown(number) == text


def test_figures_name_their_place() -> None:
    at = Figures({"a b": {"x/y": ["3.5", True, float("nan")]}}, "metrics.json")
    assert at("a b", "x/y", 0) == Figure("metrics.json#/a%20b/x~1y/0", 3.5)
    assert at("a b", "x/y", 1).value is None
    assert at("a b", "x/y", 2).value is None
    assert at("none", 0, "at all").value is None
    assert pointer("f.json", "*") == "f.json#/%2A"


def test_the_legend_stands_over_the_lines() -> None:
    names = ["precision", "recall", "F1", "a name that is long", "another that is longer"]
    lines = [(name, [(0.0, 0.0), (1.0, 1.0)]) for name in names]
    svg = str(draw.curves("t", lines, "x", "y", source="metrics.json#/x").svg)
    legend = [float(y) for name in names for y in re.findall(rf'y="([\d.]+)"[^>]*>{name[:21]}', svg)]
    highest = min(float(y) for places in re.findall(r'points="([^"]+)"', svg) for y in re.findall(r",([\d.]+)", places))
    assert len(legend) == len(names)
    assert max(legend) < highest
    assert highest - TOP - 2 * LEGEND == pytest.approx(0, abs=0.05 * HEIGHT)


def test_short_names_below_a_matrix_are_level() -> None:
    def svg(labels: list[str]) -> str:
        return str(
            draw.matrix("t", labels, [[3, 1], [0, 2]], "actual", "predicted", "rows", "metrics.json#/confusion").svg
        )

    assert "rotate(-35" not in svg(["<=50K", ">50K"])
    assert "rotate(-35" in str(
        draw.matrix("t", [f"some label {i}" for i in range(9)], [[1] * 9] * 9, "a", "p", "n", "m.json#/confusion").svg
    )
    opacities = [float(opacity) for opacity in re.findall(r"fill-opacity:([\d.]+)", svg(["a", "b"]))]
    assert max(opacities) <= 0.5  # or the numbers on them are hard to read


def test_strips_show_the_same_range() -> None:
    at = Figures({"s": [SCORE, {"value": None, "low": None, "high": None}]})
    first, second = draw.strips([at.interval("s", 0), at.interval("s", 1)], Figure("metrics.json#/o", 0.9))
    assert "circle" in first
    assert "circle" not in second
    assert re.findall(r'class="line mark" points="([^"]+)"', first) == re.findall(
        r'class="line mark" points="([^"]+)"', second
    )
    assert isinstance(at.interval("s", 0), Interval)


def test_media_stop_where_the_page_is_full(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.csv").write_text("x")
    (tmp_path / "a.wav").write_bytes(b"x")
    monkeypatch.setitem(PICTURES, "audio", lambda _: Piece("audio", "x" * 600_000))
    found, item = Media(tmp_path / "rows.csv"), {"row": 1, "media": {"clip": "a.wav"}}
    shown = [found.pieces(item, Figures(item), words("en"), 6) for _ in range(4)]
    assert [len(pieces) for pieces in shown] == [1, 1, 0, 0]


@pytest.mark.parametrize("content", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WAVE"])
def test_a_file_that_cannot_be_decoded_is_left_out_with_a_word(tmp_path, content: bytes) -> None:
    (tmp_path / "rows.csv").write_text("x")
    (tmp_path / "a.png").write_bytes(content)
    item = {"row": 3, "media": {"photo": "a.png", "gone": "b.png"}}
    ((column, piece),) = Media(tmp_path / "rows.csv").pieces(item, Figures(item), words("en"), 6)
    assert (column, piece) == ("photo", Piece("left out"))
    card = {"row": 3, "confidence": Figure("", None), "media": [(column, piece)], "cells": []}
    macros = "{% import 'macros.html' as m %}{% include 'mistakes.html' %}"
    for language, said in (
        ("en", "The file in column photo, row 3 cannot be decoded"),
        ("zh", "photo 列的文件无法解码"),
    ):
        page = environment().from_string(macros).render(v={"mistakes": [card], "text": ""}, words=words(language))
        assert said in page


def test_energy_says_what_it_assumes() -> None:
    assert energy_estimate(3600, {"threads": 2}) == {
        "watt_hours": 20,
        "seconds": 3600,
        "cores": 2,
        "watts_per_core": 10,
        "watts_of_gpu": 0,
    }
    assert energy_estimate(3600, {"threads": 2, "gpu": "a card"})["watt_hours"] == 320
    assert all(value > 0 for value in peak_memory().values())


def test_a_number_at_the_edge_is_not_cut() -> None:
    svg = str(draw.curves("t", [("a", [(2000.0, 0.0), (20000.0, 1.0)])], "x", "y", source="metrics.json#/x").svg)
    assert re.search(r'x="440.0"[^>]*text-anchor="end">20,000<', svg)


def test_the_cells_of_a_large_matrix_can_be_read_beside_it() -> None:
    counts = [[30 * (row == column) for column in range(20)] for row in range(20)]
    counts[4][7], counts[9][2] = 3, 5
    found = draw.matrix("t", [f"class {n}" for n in range(20)], counts, "actual", "predicted", "rows", "")
    assert found.columns == ("actual", "predicted", "rows")
    assert found.rows[:2] == (("class 9", "class 2", 5), ("class 4", "class 7", 3))
    assert len(found.rows) == 22


def test_a_resumed_run_keeps_why_a_column_is_what_it_is() -> None:
    told = [
        Record({"event": "SchemaInferred", "columns": [["age", "number", "mean 1", why]]}, line)
        for line, why in enumerate(["integers, 70 different", "chosen by the user"])
    ]
    page = data.build(replace(content(), events=tuple(told)), words("en"))
    assert page is not None
    assert [cell.text for cell in page["columns"][0]] == ["age", "number", "mean 1", "integers, 70 different"]


def test_steps_that_a_training_took_back_are_not_drawn(tmp_path: Path) -> None:
    records = [
        {"event": "StepDone", "step": step, "epoch": 1, "loss": loss} for step, loss in enumerate((3.0, 2.0, 9.0))
    ]
    again = [{**record, "loss": 1.0} for record in records[1:]]
    lines = [*records, {"event": "Diverged", "step": 3}, *again]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    events, steps = read_history(tmp_path / "history.jsonl")
    assert [event["event"] for event in events] == ["Diverged"]
    assert [(step.step, step.loss, step.line) for step in steps] == [(0, 3.0, 0), (1, 1.0, 4), (2, 1.0, 5)]


def test_a_score_that_leaves_no_room_for_the_name_of_its_run_has_no_interval() -> None:
    scores = {"mse": {"value": 632974512.2, "low": 355477766.1, "high": 977209416.7}, "accuracy": SCORE}
    found = Figures({"scores": scores}, "metrics.json")
    assert scored_briefly(found.interval("scores", "mse")) == "632,974,512"
    assert scored_briefly(found.interval("scores", "accuracy")).endswith("]")
