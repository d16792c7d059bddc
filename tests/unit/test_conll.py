from __future__ import annotations

import gzip
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.core.errors import DataError
from luban.data import conll
from luban.data.encodings import detect
from luban.data.sources import read

CONLL_2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

# NNP B-NP O
Peter NNP B-NP B-PER


-DOCSTART- -X- -X- O

BRUSSELS NNP B-NP B-LOC
"""
CONLL_U = """# newdoc id = letters
# sent_id = 1
# text = They buy it
1\tThey\tthey\tPRON\tPRP\t_\t2\tnsubj\t_\t_
2-3\tbuy it\t_\t_\t_\t_\t_\t_\t_\t_
2\tbuy\tbuy\tVERB\tVBP\t_\t0\troot\t_\t_
2.1\tghost\t_\tNOUN\t_\t_\t_\t_\t_\t_
3\tit\tit\tPRON\tPRP\t_\t2\tobj\t_\t_

# newdoc
1\t#\t#\tSYM\t_\t_\t_\t_\t_\t_
"""
SENTENCES = [(["Wien", "ist", "schön"], ["B-LOC", "O", "O"]), (["Ja"], ["O"])]


def write(folder: Path, content: str | bytes, name: str = "a.conll") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def laid_out(sentences: list[tuple[list[str], list[str]]], separator: str = " ", end: str = "\n") -> str:
    parts = ["".join(f"{word}{separator}{tag}{end}" for word, tag in zip(*pair, strict=True)) for pair in sentences]
    return end.join(parts)


def test_conll_2003_reads_as_sentences_with_all_columns(tmp_path: Path) -> None:
    table = read(write(tmp_path, CONLL_2003))
    assert table.frame.to_dict(as_series=False) == {
        "tokens": [["EU", "rejects"], ["#", "Peter"], ["BRUSSELS"]],
        "column 2": [["NNP", "VBZ"], ["NNP", "NNP"], ["NNP"]],
        "column 3": [["B-NP", "B-VP"], ["B-NP", "B-NP"], ["B-NP"]],
        "tags": [["B-ORG", "O"], ["O", "B-PER"], ["B-LOC"]],
        "document": ["1", "1", "2"],
    }
    assert table.row_numbers.tolist() == [1, 2, 3]
    assert table.notes == ("a.conll: read in UTF-8 as words with columns of tags (CoNLL), a row a sentence",)


@pytest.mark.parametrize("name", ["a.conllu", "a.conll", "a.tsv", "a.txt"])
def test_conll_u_reads_forms_and_universal_tags(tmp_path: Path, name: str) -> None:
    table = read(write(tmp_path, CONLL_U, name))
    assert table.frame.to_dict(as_series=False) == {
        "tokens": [["They", "buy", "it"], ["#"]],
        "tags": [["PRON", "VERB", "PRON"], ["SYM"]],
        "document": ["letters", "2"],
    }


def test_a_file_without_marks_has_no_documents(tmp_path: Path) -> None:
    assert read(write(tmp_path, laid_out(SENTENCES))).columns == ["tokens", "tags"]


def test_sentences_before_the_first_mark_have_no_document(tmp_path: Path) -> None:
    content = "a O\n\n#begin document (bc/cctv); part 000\nb O\n\n#end document\nc O\n"
    table = read(write(tmp_path, content, "a.bio"))
    assert table.frame["tokens"].to_list() == [["a"], ["b"], ["c"]]
    assert table.frame["document"].to_list() == [None, "(bc/cctv); part 000", "(bc/cctv); part 000"]


def test_documents_that_begin_in_a_later_batch_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luban.data.lines.BATCH_ROWS", 1)
    table = read(write(tmp_path, "a O\n\n-DOCSTART- O\n\nb O\n\nc O\n"))
    assert table.frame["document"].to_list() == [None, "1", "1"]


def test_a_comment_is_told_from_the_sign(tmp_path: Path) -> None:
    content = "# id 52e3 domain=en\nCity _ _ B-LOC\nhall _ _ I-LOC\n\n# id 52e4 domain=en\n# _ _ O\n1 _ _ O\n# _ _ O\n"
    assert read(write(tmp_path, content)).frame["tokens"].to_list() == [["City", "hall"], ["#", "1", "#"]]


def test_a_first_column_that_counts_is_no_word(tmp_path: Path) -> None:
    content = "#\tn-tv.de [2010]\n1\tSchartau\tB-PER\tO\n2\tsagte\tO\tO\n\n#\twelt.de\n1\tEr\tO\tO\n"
    table = read(write(tmp_path, content))
    assert table.frame["tokens"].to_list() == [["Schartau", "sagte"], ["Er"]]
    assert table.frame["column 3"].to_list() == [["B-PER", "O"], ["O"]]


@pytest.mark.parametrize("separator", [" ", "\t", "   ", " \t "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_separators_line_ends_and_encodings_read_alike(tmp_path: Path, separator: str, end: str, encoding: str) -> None:
    content = laid_out(SENTENCES * 20, separator, end).encode(encoding)
    table = read(write(tmp_path, content, "a.iob2"))
    assert table.frame["tokens"].to_list() == [words for words, _ in SENTENCES * 20]
    assert table.frame["tags"].to_list() == [tags for _, tags in SENTENCES * 20]


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(laid_out(SENTENCES).encode()), "a.conll.gz")
    assert read(path).frame["tags"].to_list() == [tags for _, tags in SENTENCES]


def test_words_that_are_odd_spaces_stay_words(tmp_path: Path) -> None:
    table = read(write(tmp_path, "\u3000 O\n\u00a0 O\n中 B-LOC\n"))
    assert table.frame["tokens"].to_list() == [["\u3000", "\u00a0", "中"]]


WORDS = st.text(string.ascii_letters + "äß中国.,'\"", min_size=1, max_size=6)
TAGGED = st.lists(st.tuples(WORDS, st.sampled_from(["O", "B-X", "I-X"])), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(TAGGED, min_size=1, max_size=8), st.sampled_from(["\t", " "]))
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[list[tuple[str, str]]], separator: str
) -> None:
    sentences = [([word for word, _ in pair], [tag for _, tag in pair]) for pair in pairs]
    content = laid_out(sentences, separator)
    path = write(tmp_path_factory.mktemp("conll"), content, "a.bio")
    table = read(path, encoding="utf-8")
    assert list(zip(table.frame["tokens"].to_list(), table.frame["tags"].to_list(), strict=True)) == sentences


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("broken", "line 1501: it has 1 of the 2 columns that the others have"),
        ("New York B-LOC", "line 1501: it has 3 of the 2 columns that the others have"),
        ("a\0 O", "line 1501: the line holds a NUL character"),
    ],
)
def test_a_line_with_other_columns_costs_its_sentence(tmp_path: Path, line: str, why: str) -> None:
    content = laid_out(SENTENCES * 250) + f"\n{line}\ngood O\n\nlast O\n"
    table = read(write(tmp_path, content))
    assert [(row.row, row.reason) for row in table.rejected] == [(501, why)]
    assert table.frame["tokens"].to_list()[-1] == ["last"]
    assert table.row_numbers.tolist() == [*range(1, 501), 502]


def test_a_line_with_fewer_columns_in_a_small_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"at most 1% of the rows .* \(the first: row 1, line 2: it has 1 of the 2 columns that the"
    ):
        read(write(tmp_path, "a O\nb\n\nc B-X\n"))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("a\nb\n\nc\n", "no column of tags"),
        ("1\ta\n2\tb\n\n1\tc\n", None),
        ("1\tThey\tthey\t_\t_\t_\t2\tnsubj\t_\t_\n", "no column of tags"),
        ("\n\n", "no words"),
    ],
)
def test_a_file_without_tags_is_told(tmp_path: Path, content: str, found: str | None) -> None:
    path = write(tmp_path, content)
    if found is None:  # the numbers may be words, and the words their tags
        assert read(path).frame["tokens"].to_list() == [["1", "2"], ["1"]]
        return
    with pytest.raises(
        DataError, match=rf"a.conll: expected a word a line with its tag in the last column, found {found}"
    ):
        read(path)


@pytest.mark.parametrize(
    "content",
    [
        "word\ttag\n" + "\n\n".join(["a\tO\nb\tB-X"] * 20),  # a header
        "\n".join(["a\tO", "b\tB-X"] * 20),  # one run of lines
        "\n\n".join(["x\t1\ny\t2"] * 20),  # numbers
        "To be or\n\nnot to be\n" * 20,
        "a O\n\nb O\n",  # a short one
    ],
)
def test_tables_and_prose_are_not_taken_for_tags(tmp_path: Path, content: str) -> None:
    for name in ("a.tsv", "a.txt"):
        path = write(tmp_path, content, name)
        assert not conll.is_columns(path, detect(path, name))


def test_a_text_file_that_is_plainly_tagged_is_read_so(tmp_path: Path) -> None:
    for name in ("a.tsv", "a.txt"):
        path = write(tmp_path, laid_out(SENTENCES * 20, "\t"), name)
        assert read(path).columns == ["tokens", "tags"]
