"""The audit of images and sound, and of labels that are several to a row or numbers."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
import torch
from PIL import Image

from luban.audit import Finding, Subject, audit
from luban.audit.confident import doubt, out_of_fold
from luban.audit.fixes import apply_fixes
from luban.audit.label_errors import PLAIN, audit_label_errors, plain_clips, plain_images, plain_matrix
from luban.audit.pictures import small_images, thumbnails
from luban.audit.unreadable import audit_unreadable
from luban.core.answers import AnswerKind
from luban.data import sources
from luban.features import FEATURES, schema
from luban.features.plain.columns import FITTERS
from luban.features.plain.image import colours, edge_directions, fit_images
from luban.features.plain.matrix import fit_features
from luban.tasks import infer_task

RATE = 8_000  # Hz


def subject(columns: Any, **others: Any) -> Subject:
    table = sources.read(columns)
    answer = infer_task(schema.profile(table, "y")).answer
    kinds = {plan.name: plan.kind for plan in schema.plan(table, target="y")}
    return Subject(table, "y", answer, kinds, {role: sources.read(other) for role, other in others.items()})


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
    rows = Subject(table, target, AnswerKind.CLASS, {plan.name: plan.kind for plan in plans})
    assert rows.of_kind("image", "audio")
    assert audit_unreadable(rows) == []


def relabelled(labels: list[Any], seed: int = 7) -> tuple[list[Any], set[int]]:
    """Give 5 % of the rows another label; return their positions, too."""
    draw, names = np.random.default_rng(seed), sorted(set(labels))
    wrong = draw.choice(len(labels), len(labels) // 20, replace=False).tolist()
    changed = list(labels)
    for row in wrong:
        changed[row] = draw.choice([name for name in names if name != labels[row]])
    return changed, set(wrong)


def share_in_front(rows: Subject, wrong: set[int]) -> float:
    """Return which share of the wrong rows is in the first 8 % of the ranking of all rows."""
    codes = rows.labels.rank("dense").to_numpy().astype(np.int64) - 1
    matrix = plain_matrix(rows, np.arange(len(rows)))
    order = doubt(out_of_fold(matrix, codes, codes.max() + 1, rows.seed), codes).order
    return len(set(order[: int(0.08 * len(rows))].tolist()) & wrong) / len(wrong)


@pytest.mark.parametrize("target", ["digit", "speaker"])
def test_wrong_labels_of_sounds_lead_the_ranking_and_clean_ones_are_no_warning(shared_data: Path, target: str) -> None:
    table = sources.read(str(shared_data / "fsdd" / "train.csv"))
    kinds = {"audio": "audio"}
    clean = audit_label_errors(Subject(table, target, AnswerKind.CLASS, kinds))
    assert [found.severity for found in clean] in ([], ["note"])
    labels, wrong = relabelled(table.frame[target].cast(pl.String).to_list())
    planted = replace(table, frame=table.frame.with_columns(pl.Series(target, labels)))
    rows = Subject(planted, target, AnswerKind.CLASS, kinds)
    (found,) = audit_label_errors(rows)
    assert found.severity == "warning"
    assert share_in_front(rows, wrong) >= 0.95
    assert len({suspect.row - 1 for suspect in found.suspects} & wrong) >= 0.65 * len(wrong)
    assert len(found.examples) == 3


@pytest.mark.parametrize(
    ("pair", "share", "severity"), [(("airplane", "frog"), 0.85, "warning"), (("automobile", "truck"), 0.5, None)]
)
def test_wrong_labels_of_photographs_lead_the_ranking(
    shared_data: Path, pair: tuple[str, str], share: float, severity: str | None
) -> None:
    frame = pl.read_parquet(shared_data / "cifar10" / "test.parquet").filter(pl.col("label").is_in(pair))
    table = sources.read(frame)
    kinds = {"image": "image"}
    clean = audit_label_errors(Subject(table, "label", AnswerKind.CLASS, kinds))
    assert [found.severity for found in clean] == ["note"]
    labels, wrong = relabelled(table.frame["label"].to_list())
    planted = replace(table, frame=table.frame.with_columns(pl.Series("label", labels)))
    rows = Subject(planted, "label", AnswerKind.CLASS, kinds)
    (found,) = audit_label_errors(rows)
    assert severity in (None, found.severity)
    assert share_in_front(rows, wrong) >= share


def test_each_kind_of_column_has_plain_features_or_is_known_to_have_none() -> None:
    assert {feature.kind for feature in FEATURES} - {*FITTERS, *PLAIN} == {"sequence", "words"}
    assert not {*FITTERS} & {*PLAIN}


def test_clips_without_sound_and_short_ones_have_features_of_their_own() -> None:
    clips = [wav(np.zeros(RATE)), wav(np.full(60, 0.3)), b"no clip", *map(wav, melodies(20))]
    rows = subject({"sound": clips, "y": answers(23)})
    features = plain_clips(rows, "sound", np.arange(23))
    assert features.shape == (23, 136)
    assert np.isfinite(features).all()
    assert features.any(axis=1).tolist() == [False, True, False, *[True] * 20]


def test_grey_images_have_edges_and_brightness_and_colour_ones_have_colours_too() -> None:
    grey = subject({"image": [png(pixels) for pixels in patterns(30)], "y": answers(30)})
    assert plain_images(grey, "image", np.arange(30)).shape == (30, 184)
    draw = np.random.default_rng(0)
    coloured = subject({"image": [png(draw.integers(0, 255, (8, 8, 3))) for _ in range(30)], "y": answers(30)})
    features = plain_images(coloured, "image", np.arange(30))
    assert features.shape == (30, 264)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)


def test_brightness_and_colour_are_those_of_places_and_of_the_whole() -> None:
    red = torch.zeros(1, 3, 32, 32)
    red[:, 0, :, 16:] = 1  # the right half is red
    mean, spread, histogram = colours(red).split([48, 48, 24], dim=1)
    brightness, red_green, blue_yellow = mean.reshape(3, 4, 4)
    halves = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(4, 4)
    torch.testing.assert_close(brightness, 0.299 * halves)
    torch.testing.assert_close(red_green, halves)
    torch.testing.assert_close(blue_yellow, -0.5 * halves)
    assert spread.abs().max() < 1e-3
    # Half of the pixels is dark, and half of brightness 0.299: levels 0 and 2 of eight.
    torch.testing.assert_close(histogram.reshape(3, 8)[0], torch.tensor([0.5, 0, 0.5, 0, 0, 0, 0, 0]).sqrt())
    grey = colours(red[:, :1])
    assert grey.shape == (1, 40)
    torch.testing.assert_close(grey[0, :16].reshape(4, 4), halves)


def test_the_baseline_to_be_beaten_sees_in_a_picture_what_the_audit_sees() -> None:
    draw = np.random.default_rng(0)
    rows = subject({"image": [png(draw.integers(0, 255, (32, 32, 3))) for _ in range(30)], "y": answers(30)})
    pixels = small_images(rows, "image")[0]
    features, seen = fit_features(rows.frame.select(), {}, {"image": pixels})
    np.testing.assert_array_equal(seen, plain_images(rows, "image", np.arange(30)))
    np.testing.assert_allclose(features.matrix(rows.frame[:4], {"image": pixels[:4]}), seen[:4], atol=1e-6)


def test_pictures_of_every_size_have_the_same_features() -> None:
    small = np.stack([pixels[:48:3, :48:3] for pixels in patterns(6)])[:, None].astype(np.uint8)
    large = np.kron(small, np.ones((1, 1, 6, 6), np.uint8))
    (plain, of_small), (_, of_large) = fit_images(small), fit_images(large)
    assert of_small.shape == of_large.shape
    assert np.corrcoef(of_small.ravel(), of_large.ravel())[0, 1] > 0.9
    np.testing.assert_array_equal(plain.matrix(np.repeat(small, 3, axis=1)), of_small)


def test_images_are_averaged_down() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 2, 64, 48), dtype=np.uint8)
    shrunk = thumbnails(pixels, 32)
    assert shrunk.shape == (3, 2 * 32 * 32)
    assert thumbnails(pixels[:, :, :28, :28], 32).shape == (3, 2 * 28 * 28)
    halves = pixels.reshape(3, 2, 32, 2, 48).mean(axis=3)
    of_48 = thumbnails(pixels, 48).reshape(3, 2, 48, 48)
    np.testing.assert_allclose(of_48[:, :, 0, 0], pixels[:, :, :2, 0].mean(2) / 255)
    np.testing.assert_allclose(shrunk.reshape(3, 2, 32, 32)[0, 0, 5, 0], halves[0, 0, 5, :2].mean() / 255, rtol=1e-6)


def test_an_edge_counts_in_its_own_direction() -> None:
    upright = torch.zeros(1, 1, 32, 32)
    upright[..., 12:] = 1
    found = edge_directions(torch.cat([upright, upright.transpose(2, 3)])).reshape(2, 9, 4, 4).sum(dim=(2, 3))
    assert found[0].argmax() == 0
    assert (found[1].argsort()[-2:].sort().values == torch.tensor([4, 5])).all()


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
    assert rows.answer == AnswerKind.LABELS
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
    assert rows.answer == AnswerKind.NUMBER
    (found,) = audit_label_errors(rows)
    assert found.severity == "note"
    assert sorted(suspect.row - 1 for suspect in found.suspects) == [7, 70, 300]


def test_pictures_of_12_bits_in_files_of_16_are_seen_by_the_range_of_their_column() -> None:
    contents = []
    for pixels in patterns(12):
        buffer = io.BytesIO()
        Image.fromarray((pixels * 20).astype(np.uint16)).save(buffer, "PNG")
        contents.append(buffer.getvalue())
    images, is_read = small_images(subject({"photo": contents, "y": answers(12)}), "photo")
    assert is_read.all()
    assert images.max() == 255
    assert len(np.unique(images)) > 100
