"""Every sentence that the files of a run hold in English has a form in the other languages of the report."""

from __future__ import annotations

import ast
import copy
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from markupsafe import Markup
from tests.contract.task_rows import fitted

from luban.audit import CHECKS
from luban.core.sentence import Sentence, restored, said, sentence, several, with_parts
from luban.evaluation.robustness import CORRUPTIONS
from luban.explain.methods import METHODS
from luban.features.learned import clauses, missing
from luban.report.figures import Figures
from luban.report.language.sentences import ENGLISH, forms, told
from luban.report.language.words import LANGUAGES, filled, words
from luban.tasks import TASKS
from luban.training.recovery import Diverging, LossWatch, Recovery
from luban.training.state import Progress

ROOT = Path(__file__).resolve().parents[2] / "src" / "luban"
OTHERS = [language for language in LANGUAGES if language != ENGLISH]
METRICS = {metric.name for task in TASKS for metric in (task if task.is_ordered else fitted(task)).metrics} | {
    *("row_f1", "mean_error", "cost", "precision", "recall"),  # of slices, groups and thresholds
    *("selection_rate", "tpr", "fpr"),
}
HALF_WIDTH = re.compile(r"[\u4e00-\u9fff][,;:?!()]|[,;:?!()][\u4e00-\u9fff]")


def calls() -> Iterator[tuple[str, str]]:
    """Yield id and English form of each sentence that the code makes."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sentence":
                id_, english = map(ast.literal_eval, node.args)
                yield id_, english


MADE = sorted(calls())


def fields(form: str) -> set[str]:
    """Return the names of the values in a form, those in the specifications of others included."""
    found = set()
    for _, name, spec, _ in Formatter().parse(form):
        found |= ({name} if name else set()) | (fields(spec) if spec else set())
    return found


def test_an_id_is_one_sentence() -> None:
    assert len({id_ for id_, _ in MADE}) == len(MADE) > 50


@pytest.mark.parametrize("language", OTHERS)
def test_each_sentence_has_a_form_and_each_form_a_sentence(language: str) -> None:
    translated, english = forms(words(language)).sentences, dict(MADE)
    assert translated.keys() == english.keys()
    for id_, form in translated.items():
        put_in, known = fields(form), fields(english[id_])
        # What a metric is called in the language comes from its own name, which English does not show.
        assert (put_in - {"metric"}) == (known - {"name"} if "metric" in put_in - known else known - {"metric"}), id_


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_each_check_of_the_audit_speaks_every_language(check, language: str) -> None:
    own = {id_ for id_ in forms(words(language)).sentences if id_.startswith(f"audit.{check.name}.")}
    assert any(".found" in id_ for id_ in own)
    assert any(".action" in id_ for id_ in own)


def test_chinese_has_chinese_punctuation() -> None:
    for id_, form in forms(words("zh")).sentences.items():
        assert not HALF_WIDTH.search(re.sub(r"{[^}]*}", "", form)), id_
        assert not form.endswith((".", " ")), id_


def test_parts_are_said_in_the_language_of_the_page() -> None:
    made = sentence("audit.duplicates.found", "{rows:count row} ({share}) repeat", rows=1234, share="3 %")
    assert made == "1,234 rows (3 %) repeat"
    verbs = "{rows:count test row} {rows:do repeat}, {rows:do have}, {rows:do were}"
    assert sentence("x", verbs, rows=1) == "1 test row repeats, has, was"
    assert sentence("x", verbs, rows=2) == "2 test rows repeat, have, were"
    at = Figures({"message": made, "message_parts": made.parts}, "audit.json")
    quote = told(at.text("message"), words("zh"))
    assert quote.text == "1,234 行（3 %）与另一行完全相同"
    assert quote.source == "audit.json#/message audit.json#/message_parts"
    assert not quote.lang
    assert told(at.text("message"), words("en")).text == made


def test_names_are_listed_in_the_language_of_the_page() -> None:
    labels = several("abcdefghij")
    made = sentence("audit.rare-classes.found_lone", "one row: {labels}", labels=labels)
    assert made == "one row: 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 2 more"
    assert forms(words("zh")).of(made.parts) == ("只有一行的类别：“a”、“b”、“c”、“d”、“e”、“f”、“g”、“h” 等 10 项")
    within = sentence("audit.one-class.found", "'{label}'", label=made)
    assert "“只有一行的类别：" in str(forms(words("zh")).of(within.parts))


@pytest.mark.parametrize(
    "parts",
    [
        None,
        {"id": "none", "values": {}},
        {"id": "audit.duplicates.found", "values": {}},
        {"id": "audit.duplicates.found", "values": {"rows": "x", "share": 1}},
        {"id": "audit.duplicates.found"},
        {"id": []},
        "audit.duplicates.found",
    ],
)
def test_a_text_of_another_version_stays_english_and_says_so(parts: object) -> None:
    at = Figures({"message": "2 rows repeat", "message_parts": parts}, "audit.json")
    quote = told(at.text("message"), words("zh"))
    assert (quote.text, quote.lang) == ("2 rows repeat", "en")
    assert 'lang="en"' in quote.__html__()


def test_a_sentence_is_text() -> None:
    made = sentence("audit.one-class.found", "always {label}", label="a")
    assert json.dumps({"a": made}) == '{"a": "always a"}'
    copied = copy.deepcopy(made)
    assert isinstance(copied, Sentence)
    assert (copied, copied.parts) == (made, made.parts)


def test_sentences_in_lists_and_of_clauses_tell_their_parts_in_their_place() -> None:
    learned = clauses([sentence("learned.categories", "{count} categories", count=3), None, missing(1, 8)])
    assert learned == "3 categories, 12.5% missing"
    content = with_parts({"columns": [("city", "category", learned), ("id", "identifier", "")]})
    assert json.loads(json.dumps(content)) == content | {
        "columns": [["city", "category", learned], ["id", "identifier", ""]]
    }
    quote = told(Figures(content, "history.jsonl").text("columns", 0, 2), words("zh"))
    assert quote.text == "3 个类别，缺失 12.5%"
    assert quote.source == "history.jsonl#/columns/0/2 history.jsonl#/columns_parts/0/2"
    assert told(Figures(content).text("columns", 0, 0), words("zh")).text == "city"
    assert "names_parts" not in with_parts({"names": ["a", "b"]})


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_tables_hold_has_a_name_in_every_language(language: str) -> None:
    names = {f"task.{task.name}" for task in TASKS} | {f"method.{method.name}" for method in METHODS}
    names |= {f"corruption.{name}" for corruptions in CORRUPTIONS.values() for name, _ in corruptions}
    names |= {f"metric.{name}" for name in METRICS}
    assert {name for name in names if not words(language).has(name)} == set()


def test_a_sentence_that_was_stored_is_the_same_again() -> None:
    made = sentence("audit.one-class.found", "always {label}", label=sentence("learned.category", "one category"))
    stored = json.loads(json.dumps(with_parts({"note": made, "notes": [made, "plain"]})))
    again = restored(stored["note"], stored["note_parts"])
    assert isinstance(again, Sentence)
    assert (again, again.parts) == (made, made.parts)
    assert not isinstance(restored("plain", stored["notes_parts"][1]), Sentence)
    progress = Progress(ended=made)
    assert Progress.from_json(json.loads(json.dumps(progress.to_json()))) == progress
    assert with_parts({"ended": Progress.from_json(progress.to_json()).ended})["ended_parts"] == made.parts
    old = {name: value for name, value in Progress(ended="done").to_json().items() if name != "ended_parts"}
    assert Progress.from_json(old).ended == "done"


def test_an_error_says_the_sentence_that_it_was_raised_with() -> None:
    made = sentence("resume.changed", "its counters were changed")
    assert said(ValueError(made)) is made
    assert said(ValueError("a", 1)) == "('a', 1)"
    assert said(ValueError()) == ""


@pytest.mark.parametrize(
    ("loss", "norm", "told"),
    [
        (math.nan, 1.0, "损失为 nan；已回到上一个检查点，并跳过这一批"),
        (1.0, math.inf, "梯度范数为 inf；已回到上一个检查点，并跳过这一批"),
        (9.5, 1.0, "损失失控（起初为 1，此时为 9.5）；已回到本轮开头，学习率降为设定值的 0.5 倍"),
    ],
)
def test_a_divergence_is_told_in_chinese(loss: float, norm: float, told: str) -> None:
    found = LossWatch(first=[1.0] * 10, window=[9.0] * 15).check(loss, norm)
    assert isinstance(found, Diverging)
    action = json.loads(json.dumps(Recovery().decide(found, 3, 1, 0.1).parts))
    assert forms(words("zh")).of(action) == told


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        ("验证{x}为", "F1", "验证 F1 为"),
        ("验证{x}为", "准确率", "验证准确率为"),
        ("第 {x} 列", "价格", "第价格列"),
        ("第 {x} 列", 3, "第 3 列"),
        ("第{x}列", "<b>R²</b>", "第 <b>R²</b> 列"),
        ("为 {x}，", "–", "为 –，"),
        ("<b>较弱：</b>{x}。", "F1", "<b>较弱：</b>F1。"),
        ("{x}{x}", "中", "中中"),
        (" {x} of {x} ", "中", " 中 of 中 "),
    ],
)
def test_chinese_and_latin_letters_are_set_apart(form: str, value: object, text: str) -> None:
    assert filled(form, lambda name, spec: Markup(value)) == text
