from __future__ import annotations

from pathlib import Path

import pytest

from luban.data.sources import read

RUSSIAN = ("город", "Москва хороший город", "быстрая доставка", "не работает")
POLISH = ("nazwa", "żółty kwiat", "Łódź", "źle, ale świetnie")
CZECH = ("název", "žlutý kůň", "Plzeň", "příliš dlouhý")
GREEK = ("όνομα", "πράσινο χρώμα", "όχι", "καλημέρα σας")
TURKISH = ("isim", "İstanbul güzel", "ığdır", "çok iyi değil")
ARABIC = ("الاسم", "أخضر", "جيد جدا", "لا يعمل")
HEBREW = ("שם", "ירוק", "טוב מאוד", "לא עובד")
FRENCH = ("prénom", "déjà vu", "forêt", "à côté")
GERMAN = ("Straße", "Königsallee", "größer", "Müller")
SPANISH = ("año", "mañana está bien", "niño", "corazón")
JAPANESE = ("名前", "とても良い商品でした", "赤い", "いいえ")
KOREAN = ("이름", "배송이 빨라요", "초록색", "아니요")
CHINESE = ("名稱", "外送很快味道不錯", "綠色的", "否")
THAI = ("ชื่อ", "เขียว", "แดง", "ไม่ดี")


@pytest.mark.parametrize(
    ("words", "codec", "label"),
    [
        (RUSSIAN, "cp1251", "Windows-1251"), (RUSSIAN, "koi8-r", "KOI8-R"), (RUSSIAN, "iso8859-5", "ISO 8859-5"),
        (RUSSIAN, "cp866", "DOS 866"), (POLISH, "cp1250", "Windows-1250"), (POLISH, "iso8859-2", "ISO 8859-2"),
        (CZECH, "cp1250", "Windows-1250"), (GREEK, "cp1253", "Windows-1253"), (TURKISH, "cp1254", "Windows-1254"),
        (ARABIC, "cp1256", "Windows-1256"), (HEBREW, "cp1255", "Windows-1255"), (FRENCH, "latin-1", "Latin-1"),
        (FRENCH, "cp850", "DOS 850"), (GERMAN, "cp1252", "Latin-1"), (GERMAN, "mac-roman", "Mac Roman"),
        (SPANISH, "cp1252", "Latin-1"), (JAPANESE, "shift_jis", "Shift JIS"), (JAPANESE, "euc_jp", "EUC-JP"),
        (KOREAN, "euc_kr", "EUC-KR"), (CHINESE, "big5", "Big5"), (THAI, "tis-620", "Windows-874"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("repeats", [1, 30])
def test_a_code_page_is_known_by_its_letters(
    tmp_path: Path, words: tuple[str, ...], codec: str, label: str, repeats: int
) -> None:
    path = tmp_path / "data.csv"
    cells = [cell.replace(",", "") for cell in words[1:]]
    rows = [(cell, str(place)) for place, cell in enumerate(cells * repeats)]
    path.write_bytes("\n".join([f"{words[0]},n", *map(",".join, rows), ""]).encode(codec))
    table = read(path)
    assert table.columns == [words[0], "n"]
    assert table.frame.rows() == rows
    assert table.notes[-1].startswith("data.csv: ")
    assert table.notes[-1].endswith("is a guess from its letters; where they look wrong, set data.encoding")
    assert label.split()[0].split("-")[0] in table.notes[-1]


def test_signs_alone_are_western(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes("t,y\n20 °C,a\n5 µm,b\n± 3 §,c\n".encode("latin-1"))
    assert read(path).frame["t"].to_list() == ["20 °C", "5 µm", "± 3 §"]


def test_an_encoding_that_is_set_is_no_guess(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes("город,y\nМосква,1\n".encode("koi8-r"))
    table = read(path, encoding="koi8-r")
    assert (table.frame.rows(), table.notes) == ([("Москва", "1")], ())
