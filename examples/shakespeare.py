"""Write the names in Shakespeare's speeches as tags: `python shakespeare.py input.txt`, the "tiny Shakespeare" file.

A person is a word that speakers are called by in capitals; a place is a word of PLACES, or what a speaker is duke,
earl, bishop or queen of. The file, data/shakespeare/names.jsonl, has a row a line of a speech: passage, tokens, tags in
BIO. A passage is twenty speeches.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SPEAKER = re.compile(r"([A-Z][A-Za-z' ]*):")
WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*|[^\sA-Za-z]")
# Words of speakers that are no names, and places, in lower case.
NO_NAMES = """
king queen prince princess duke duchess earl lord lady sir saint bishop archbishop abbot friar mistress nurse of
the and i ii iii iv v vi first second third clown boy gaoler servant tutor pedant widow gentleman officer
messenger scrivener page ghost tribune soldier shepherd mariner bear time father son hostess lieutenant tailor
haberdasher another both all provost justice warwick's man
"""
PLACES = """
rome corioli antium verona mantua padua pisa venice milan naples vienna florence bohemia sicilia russia poland
england france scotland ireland wales london burgundy bretagne calais york lancaster gloucester norfolk hereford
leicester coventry ravenspurgh pomfret towton tewksbury barnet wakefield bosworth salisbury langley berkeley
bristol carlisle delphos sicily tunis carthage africa italy greece egypt libya cyprus troy athens volsces
capitol tiber bordeaux lombardy rhodes jerusalem westminster windsor exeter
"""
OF_A_PLACE = re.compile(r"\bOF ([A-Z]+)$")


def speeches(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the speaker and the lines of each speech."""
    for block in text.split("\n\n"):
        first, *lines = block.strip().split("\n")
        if found := SPEAKER.fullmatch(first.strip()):
            yield found[1], lines


def names_of(speakers: set[str]) -> tuple[set[str], set[str]]:
    """Return the words that are persons and places, in lower case."""
    called = [speaker for speaker in speakers if speaker.isupper()]
    places = set(PLACES.split()) | {found[1].lower() for speaker in called if (found := OF_A_PLACE.search(speaker))}
    persons = {word.lower() for speaker in called for word in speaker.split()} - set(NO_NAMES.split()) - places
    return persons, places


def tags_of(tokens: list[str], persons: set[str], places: set[str]) -> list[str]:
    """Return a tag for each word: capitals alone are names, and names in a row are one."""
    kinds = []
    for token in tokens:
        word = token.lower().removesuffix("'s")
        kinds.append("O" if not token[0].isupper() else "PER" if word in persons else "LOC" if word in places else "O")
    before = ["O", *kinds[:-1]]
    return [
        kind if kind == "O" else f"{'I' if kind == last else 'B'}-{kind}"
        for kind, last in zip(kinds, before, strict=True)
    ]


def main() -> None:
    found = list(speeches(Path(sys.argv[1]).read_text("utf-8")))
    persons, places = names_of({speaker for speaker, _ in found})
    output = Path(__file__).parent / "data" / "shakespeare" / "names.jsonl"
    output.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for place, (_, lines) in enumerate(found):
        for line in lines:
            tokens = WORD.findall(line)
            if tokens:
                rows.append({"passage": place // 20, "tokens": tokens, "tags": tags_of(tokens, persons, places)})
    output.write_text("\n".join(json.dumps(row) for row in rows) + "\n", "utf-8")
    print(f"{len(rows):,} lines in {output}: {len(persons)} persons, {len(places)} places")


if __name__ == "__main__":
    main()
