from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from luban.core.errors import ConfigError, DataError
from luban.data import encodings
from luban.data.encodings import detect
from luban.data.sources import read

GERMAN = "name,ort\nMüller,Köln\nGroß,Düsseldorf\nJäger,Überlingen\n"
PORTUGUESE = "nome,texto\nJoão,INFORMAÇÃO E CORAÇÃO\nLuís,AÇÃO\n"


def write(folder: Path, content: bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("text", "codec", "label"),
    [
        (GERMAN, "utf-8", "UTF-8"),
        (GERMAN, "utf-8-sig", "UTF-8"),
        (GERMAN, "utf-16", "UTF-16"),
        (GERMAN, "utf-32", "UTF-32"),
        (GERMAN, "latin-1", "Latin-1"),
        (PORTUGUESE, "latin-1", "Latin-1"),
        ("a,b\n“smart” quotes,café\n", "cp1252", "Windows-1252"),
        ("标签,评论\n1,很快，好吃，味道足\n", "gb18030", "GB18030"),
        ("a,b\n1,2\n", "ascii", "UTF-8"),
    ],
)
def test_encoding_is_recognised(tmp_path: Path, text: str, codec: str, label: str) -> None:
    path = write(tmp_path, text.encode(codec))
    assert detect(path, "data.csv").label == label
    table = read(path)
    assert ",".join(table.columns) == text.partition("\n")[0]
    assert ",".join(str(cell) for cell in table.frame.row(0)) == text.splitlines()[1]
    notes = [] if label == "UTF-8" else [f"data.csv: read as {label} with separator ','"]
    if label in ("Latin-1", "Windows-1252"):
        notes.append(f"data.csv: {label} is a guess from its letters; where they look wrong, set data.encoding")
    assert list(table.notes) == notes


def test_whole_file_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "CHUNK_BYTES", 7)
    path = write(tmp_path, b"a,b\n" + b"1,2\n" * 500 + "x,Müller\n".encode("latin-1"))
    assert detect(path, "data.csv").label == "Latin-1"
    assert detect(write(tmp_path, "a,b\n1,你好世界很好\n".encode()), "data.csv").label == "UTF-8"


@pytest.mark.parametrize(("codec", "label"), [("utf-8", "UTF-8"), ("gb18030", "GB18030")])
def test_damaged_bytes_cost_their_row(tmp_path: Path, codec: str, label: str) -> None:
    rows = [f"{number},很快，味道不错".encode(codec) for number in range(1, 301)]
    rows[149] = b"150,\xff\xff"
    table = read(write(tmp_path, b"\n".join([b"id,text", *rows])))
    (rejected,) = table.rejected
    assert (rejected.row, rejected.column) == (150, "text")
    assert rejected.reason == f"the cell holds bytes that are not {label}"
    assert table.frame["text"].unique().to_list() == ["很快，味道不错"]
    assert len(table) == 299


def test_encoding_that_is_set_wins(tmp_path: Path) -> None:
    path = write(tmp_path, GERMAN.encode("latin-1"))
    assert read(path, encoding="cp1250").notes == ()
    with pytest.raises(DataError, match=r"expected text in utf-8, found a byte at offset 10 .* Set data.encoding"):
        read(path, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"data.encoding: expected the name of a text encoding.* found 'klingon'"):
        read(path, encoding="klingon")
    with pytest.raises(ConfigError, match=r"found 'hex'"):
        read(path, encoding="hex")


def test_offset_is_counted_over_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "CHUNK_BYTES", 4)
    content = "abcdefghi你好".encode()
    assert encodings.undecodable_at(write(tmp_path, content), "utf-8") is None
    assert encodings.undecodable_at(write(tmp_path, content + b"\xff"), "utf-8") == len(content)
    assert encodings.undecodable_at(write(tmp_path, content[:-1]), "utf-8") == len(content) - 3


def test_cut_off_utf16_raises(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected text in UTF-16, found a byte at offset"):
        read(write(tmp_path, "a,b\n1,2\n".encode("utf-16")[:-1]))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (bytes(range(256)) * 4, "bytes of a binary file"),
        (b"a,b\n\0\0\0\0", "bytes of a binary file"),
        ("a,b\n1,2\n".encode("utf-16-le") * 50, "set data.encoding where it is text in UTF-16"),
    ],
)
def test_binary_file_raises(tmp_path: Path, content: bytes, kind: str) -> None:
    with pytest.raises(DataError, match=rf"data.csv: expected text, found .*{kind}"):
        read(write(tmp_path, content))


def test_utf16_without_a_mark_reads_when_set(tmp_path: Path) -> None:
    table = read(write(tmp_path, "名,b\n1,2\n".encode("utf-16-le")), encoding="utf-16-le")
    assert table.frame.to_dicts() == [{"名": "1", "b": "2"}]


def test_gzip_is_read(tmp_path: Path) -> None:
    content = gzip.compress(GERMAN.encode())
    assert read(write(tmp_path, content, "data.csv.gz")).columns == ["name", "ort"]
    with pytest.raises(DataError, match=r"expected a file that can be read, found an error"):
        read(write(tmp_path, content[:-12], "data.csv.gz"))


def test_gb18030_whose_commonest_word_happens_to_be_utf8(tmp_path: Path) -> None:
    rows = "".join("未知,3\n" if n % 8 else "工人,4\n" for n in range(400))
    assert "未知".encode("gb18030").decode("utf-8") == "δ֪"
    (tmp_path / "data.csv").write_bytes(f"职业,年龄\n{rows}".encode("gb18030"))
    table = read(tmp_path / "data.csv")
    assert table.columns == ["职业", "年龄"]
    assert table.frame["职业"].unique().sort().to_list() == ["工人", "未知"]
    assert table.rejected == ()


@pytest.mark.parametrize("word", ["погода сегодня", "今日はとてもいい天気です", "für die schöne Öse", "καλημέρα"])
def test_damaged_utf8_is_utf8_in_any_script(tmp_path: Path, word: str) -> None:
    rows = [f"{word} {n},x".encode() for n in range(300)]
    rows[150] = b"\xff\xfe,x"
    (tmp_path / "data.csv").write_bytes(b"\n".join([b"text,y", *rows, b""]))
    table = read(tmp_path / "data.csv")
    assert table.frame["text"][0] == f"{word} 0"
    assert [row.row for row in table.rejected] == [151]


def test_a_header_that_does_not_decode_is_said(tmp_path: Path) -> None:
    rows = "".join(f"schön {n},ä\n" for n in range(300))
    write(tmp_path, b"text,\xff\xfe\n" + rows.encode())
    with pytest.raises(DataError, match=r"data.csv, header: expected text in UTF-8, found bytes that are none. Set"):
        read(tmp_path / "data.csv")
