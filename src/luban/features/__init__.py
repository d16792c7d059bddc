"""From columns to tensors: one file for each kind of column."""

from __future__ import annotations

from luban.features.audio import AudioFeature
from luban.features.base import Feature
from luban.features.category import CategoryFeature
from luban.features.date import DateFeature
from luban.features.image import ImageFeature
from luban.features.labels import LabelsFeature
from luban.features.number import NumberFeature
from luban.features.sequence import SequenceFeature
from luban.features.text.feature import TextFeature
from luban.features.words import WordsFeature

# The order decides between kinds that are equally sure of a column.
FEATURES: tuple[type[Feature], ...] = (
    ImageFeature,
    AudioFeature,
    SequenceFeature,
    DateFeature,
    NumberFeature,
    LabelsFeature,
    CategoryFeature,
    TextFeature,
    WordsFeature,
)
