"""Every sentence that the files of a run hold in English has a form in the other languages of the report."""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from luban.audit import CHECKS
from luban.core.sentence import Sentence, sentence, several, with_parts
from luban.features.learned import clauses, missing
from luban.report.figures import Figures
from luban.report.sentences import ENGLISH, forms, told
from luban.report.words import LANGUAGES, words

ROOT = Path(__file__).resolve().parents[2] / "src" / "luban"
OTHERS = [language for language in LANGUAGES if language != ENGLISH]
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
