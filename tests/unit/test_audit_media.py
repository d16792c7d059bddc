"""The audit of images and sound, and of labels that are several to a row or numbers."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from luban.audit import Finding, Subject, audit
from luban.audit.fixes import apply_fixes
from luban.audit.label_errors import audit_label_errors
from luban.audit.unreadable import audit_unreadable
from luban.data import sources
from luban.features import schema
from luban.tasks import infer_task

RATE = 8_000  # Hz


def subject(columns: Any, **others: Any) -> Subject:
    table = sources.read(columns)
    task = infer_task(schema.profile(table, "y")).name
    kinds = {plan.name: plan.kind for plan in schema.plan(table, target="y")}
    return Subject(table, "y", task, kinds, {role: sources.read(other) for role, other in others.items()})


def found_by(check: str, rows: Subject) -> list[Finding]:
    return [finding for finding in audit(rows).findings if finding.check == check]


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def patterns(count: int, seed: int = 0) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [np.kron(draw.integers(0, 200, (8, 8)), np.ones((6, 6))) for _ in range(count)]


def wav(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="WAV")
    return buffer.getvalue()


def melodies(count: int, seed: int = 0) -> list[np.ndarray]:
    """Return clips of a second, each of eight random chords with some noise."""
    draw = np.random.default_rng(seed)
    time = np.arange(RATE // 8) / RATE
    clips = []
    for _ in range(count):
        chords = draw.uniform(150, 3500, (8, 3))
        notes = [np.sin(2 * np.pi * chord[:, None] * time).sum(axis=0) for chord in chords]
        clips.append(0.1 * np.concatenate(notes) + draw.normal(0, 0.005, RATE))
    return clips


def answers(count: int) -> list[str]:
    return [("a", "b", "c")[number % 3] for number in range(count)]


def test_an_image_that_is_brighter_and_larger_is_a_near_duplicate() -> None:
    smooth = patterns(60)
    images = [png(pixels) for pixels in smooth]
    images += [png(np.kron(pixels + 30, np.ones((2, 2)))) for pixels in smooth[:3]]
    rows = subject({"image": images, "y": answers(63)})
    (found,) = found_by("near-duplicates", rows)
    assert found.rows == 3
    assert apply_fixes(rows, ["near-duplicates"])[0].height == 60


def test_a_clip_that_is_quieter_and_noisier_is_a_near_duplicate() -> None:
    clips = melodies(30)
    noise = np.random.default_rng(1).normal(0, 0.0005, RATE)
    sounds = [wav(clip) for clip in [*clips, *(0.5 * clip + noise for clip in clips[:3])]]
    rows = subject({"sound": sounds, "y": answers(33)})
    assert rows.kinds["sound"] == "audio"
    (found,) = found_by("near-duplicates", rows)
    assert found.rows == 3
    assert apply_fixes(rows, ["near-duplicates"])[0].height == 30


def test_clips_that_only_begin_alike_are_no_near_duplicates() -> None:
    clips, others = melodies(30), melodies(30, seed=2)
    half = [np.concatenate([one[: RATE // 2], other[RATE // 2 :]]) for one, other in zip(clips, others, strict=True)]
    rows = subject({"sound": [wav(clip) for clip in [*clips, *half]], "y": answers(60)})
    assert found_by("near-duplicates", rows) == []


def test_images_that_are_brighter_where_they_are_predicted_on_have_drifted() -> None:
    mine = {"image": [png(pixels) for pixels in patterns(80)], "y": answers(80)}
    alike = {"image": [png(pixels) for pixels in patterns(80, seed=1)]}
    brighter = {"image": [png(pixels + 60) for pixels in patterns(80, seed=1)]}
    assert found_by("drift", subject(mine, against=alike)) == []
    (found,) = found_by("drift", subject(mine, against=brighter))
    assert (found.severity, found.column) == ("warning", "image")


def test_images_and_clips_of_the_test_rows_are_found_by_what_is_in_them(tmp_path: Path) -> None:
    for kind, suffix, contents in (
        ("image", "png", [png(pixels) for pixels in patterns(40)]),
        ("audio", "wav", [wav(clip) for clip in melodies(40)]),
    ):
        for part, positions in (("train", range(40)), ("test", range(35, 40))):
            folder = tmp_path / kind / part
            (folder / "files").mkdir(parents=True)
            for position in positions:
                (folder / "files" / f"{part}{position}.{suffix}").write_bytes(contents[position])
            lines = [f"files/{part}{position}.{suffix},{'abc'[position % 3]}" for position in positions]
            (folder / "rows.csv").write_text("\n".join(["file,y", *lines]) + "\n", "utf-8")
        rows = subject(str(tmp_path / kind / "train" / "rows.csv"), test=str(tmp_path / kind / "test" / "rows.csv"))
        assert rows.kinds["file"] == kind
        (found,) = found_by("overlap", rows)
        assert (found.severity, found.rows) == ("warning", 5)
        assert apply_fixes(rows, ["overlap"])[0].height == 35


@pytest.mark.parametrize(
    ("suffix", "contents"),
    [("png", [png(pixels) for pixels in patterns(20)]), ("wav", [wav(clip) for clip in melodies(20)])],
)
def test_files_that_cannot_be_read_are_named_and_removed(tmp_path: Path, suffix: str, contents: list[bytes]) -> None:
    broken = {3: contents[3][: len(contents[3]) // 2], 5: b"", 6: b"not what the name says", 8: None}
    for position, content in enumerate(contents):
        content = broken.get(position, content)
        if content is not None:
            (tmp_path / f"{position}.{suffix}").write_bytes(content)
    lines = [f"{position}.{suffix},{answer}" for position, answer in enumerate(answers(20))]
    (tmp_path / "rows.csv").write_text("\n".join(["file,y", *lines]) + "\n", "utf-8")
    rows = subject(str(tmp_path / "rows.csv"))
    (found,) = found_by("unreadable", rows)
    assert (found.severity, found.rows, found.column, found.setting) == ("error", 4, "file", "--fix unreadable")
    assert found.positions.tolist() == list(broken)
    assert [example["row"] for example in found.examples] == [4, 6, 7]
    for example, words in zip(found.examples, ("", "empty (0 bytes)", "the file is not a "), strict=True):
        assert words in example["note"]
    assert "4 rows (20 %)" in found.message
    fixed, done = apply_fixes(rows, ["unreadable"])
    assert (fixed.height, done) == (16, ["unreadable: 4 rows"])


def test_a_few_unreadable_rows_are_a_warning_and_the_bytes_of_a_cell_are_read_too() -> None:
    images = [png(np.full((4, 4), number)) for number in range(200)]
    images[7] = images[7][:-20]
    (found,) = found_by("unreadable", subject({"image": images, "y": answers(200)}))
    assert (found.severity, found.rows, found.examples[0]["row"]) == ("warning", 1, 8)
    report = audit(replace(subject({"image": images, "y": answers(200)}), budget=0.0))
    assert "unreadable" in report.skipped


def test_a_column_whose_files_are_all_missing_is_an_error() -> None:
    rows = subject({"file": [f"picture{number}.png" for number in range(40)], "y": answers(40)})
    (found,) = found_by("unreadable", rows)
    assert (found.severity, found.rows) == ("error", 40)


@pytest.mark.parametrize(("name", "target"), [("fsdd/test.csv", "digit"), ("bccd/boxes.csv", "label")])
def test_real_files_can_all_be_read(shared_data: Path, name: str, target: str) -> None:
    table = sources.read(str(shared_data / name))
    table = table.take(np.arange(0, len(table), max(1, len(table) // 100)))
    plans = schema.plan(table, target=target)
    rows = Subject(table, target, "multiclass", {plan.name: plan.kind for plan in plans})
    assert rows.of_kind("image", "audio")
    assert audit_unreadable(rows) == []


def test_wrong_ones_of_several_labels_lead_the_ranking() -> None:
    draw = np.random.default_rng(0)
    topics = {"sport": "ball goal team win", "music": "song band tune drum", "food": "soup bread salt oven"}
    texts, labels = [], []
    for number in range(600):
        chosen = [name for at, name in enumerate(topics) if (number >> at) & 1] or ["food"]
        words = [word for name in chosen for word in draw.choice(topics[name].split(), 4)]
        texts.append(" ".join([*words, f"on day {number}"]))
        labels.append(chosen)
    wrong = draw.choice(600, 12, replace=False)
    for row in wrong:
        labels[row] = [name for name in topics if name not in labels[row]] or ["sport"]
    rows = subject({"text": texts, "y": labels})
    assert rows.task == "multi_label"
    (found,) = audit_label_errors(rows)
    assert found.severity == "note"
    ranked = [suspect.row - 1 for suspect in found.suspects][: len(wrong) + 6]
    assert np.isin(wrong, ranked).mean() >= 0.7


def test_numbers_far_from_what_is_predicted_are_doubted() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=400)
    y = 3 * x + draw.normal(0, 0.2, 400)
    y[[7, 70, 300]] += 20
    rows = subject({"x": x, "y": y})
    assert rows.task == "regression"
    (found,) = audit_label_errors(rows)
    assert found.severity == "note"
    assert sorted(suspect.row - 1 for suspect in found.suspects) == [7, 70, 300]
