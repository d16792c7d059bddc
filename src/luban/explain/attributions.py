"""How a row's input of each kind of column is taken apart: one line a kind, each in its own file."""

from __future__ import annotations

from collections.abc import Callable

from luban.explain.inputs.audio import audio_view
from luban.explain.inputs.category import category_view
from luban.explain.inputs.date import date_view
from luban.explain.inputs.image import image_view
from luban.explain.inputs.labels import labels_view
from luban.explain.inputs.number import number_view
from luban.explain.inputs.sequence import sequence_view
from luban.explain.inputs.text import text_view
from luban.explain.view import RowInput, View
from luban.explain.words import words_view

ATTRIBUTIONS: dict[str, Callable[[RowInput], View]] = {
    "image": image_view,
    "audio": audio_view,
    "sequence": sequence_view,
    "date": date_view,
    "number": number_view,
    "labels": labels_view,
    "category": category_view,
    "text": text_view,
    "words": words_view,
}
