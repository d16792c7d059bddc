"""Which architecture encodes each kind of input: what the settings say, and what is decided where they say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union

from pydantic import Field, ValidationInfo, field_validator, model_validator

from luban.core.errors import ConfigError, listed, nearest
from luban.core.settings import MOST_LAYERS, Settings, Width
from luban.core.tensors import TensorKind
from luban.models import MODELS
from luban.models.base import EncoderConfig
from luban.models.cnn import ResNetConfig
from luban.models.fusion import PLAIN, FusionName
from luban.models.mlp import Activation, FlattenConfig
from luban.models.pretrained import PretrainedConfig
from luban.models.rnn import RNNConfig

ARCHITECTURES = {architecture.name: architecture for architecture in MODELS}
# The kinds of input among whose architectures one chooses; numbers and categories have one encoder each.
SLOTS = {"tokens": TensorKind.TOKENS, "grid": TensorKind.GRID, "frames": TensorKind.FRAMES}
IF_NOT_SAID = {"tokens": "pretrained", "frames": "lstm"}  # whose settings are meant where they name no architecture
WIDE_HIDDEN = (256, 128)
CHINESE_CHECKPOINT = "e5-small-multilingual"
ENGLISH_CHECKPOINT = "minilm"


def settings_of(*kinds: TensorKind) -> Any:
    """Return the type of the settings of any architecture for one of these kinds, told apart by `architecture`."""
    types = tuple(dict.fromkeys(row.config_type for row in MODELS if row.kinds & set(kinds)))
    return Annotated[Union[types], Field(discriminator="architecture")] if len(types) > 1 else types[0]  # noqa: UP007


if TYPE_CHECKING:
    TokensModel: TypeAlias = EncoderConfig
    GridModel: TypeAlias = EncoderConfig
    FramesModel: TypeAlias = EncoderConfig
    AnyModel: TypeAlias = EncoderConfig
else:
    TokensModel = settings_of(TensorKind.TOKENS)
    GridModel = settings_of(TensorKind.GRID)
    FramesModel = settings_of(TensorKind.FRAMES)
    AnyModel = settings_of(*TensorKind)


class NetworkConfig(Settings):
    """Which architecture encodes each kind of input, and the layers that join them; None is decided from the data.

    A bare name stands for an architecture or a pretrained checkpoint: `model: lstm`, `model: minilm`; names with commas
    between them for one each kind of input, as reports print them: `model: minilm, resnet`.
    hidden: widths of the layers between the joined encoders and the head. dropout: before the head and between those.
    """

    tokens: TokensModel | None = None
    grid: GridModel | None = None
    frames: FramesModel | None = None
    fusion: FusionName = PLAIN
    hidden: tuple[Width, ...] | None = Field(None, max_length=MOST_LAYERS)
    activation: Activation = "relu"
    dropout: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return expand_name(value) if isinstance(value, str) else value

    @field_validator(*IF_NOT_SAID, mode="before")
    @classmethod
    def _architecture_if_not_said(cls, value: Any, info: ValidationInfo) -> Any:
        name = IF_NOT_SAID[info.field_name or ""]
        return {"architecture": name, **value} if isinstance(value, dict) else value

    def encoder(self, kind: TensorKind) -> EncoderConfig | None:
        """Return the settings of the encoder of inputs of a kind; None where they are not chosen yet."""
        for slot, its_kind in SLOTS.items():
            if its_kind is kind:
                chosen: EncoderConfig | None = getattr(self, slot)
                return chosen
        return next(row for row in MODELS if kind in row.kinds).config_type.model_validate({})


def expand_name(name: str) -> dict[str, Any]:
    """Return the settings that a bare name stands for, or several with commas between them.

    Of several each takes one kind of input that it can encode, and then those that are left: `gru, lstm` is a GRU for
    text and an LSTM for sound.
    """
    names = [part.strip() for part in name.split(",")]
    if len(names) == 1 or Path(name).exists():
        return _expand_one(name)
    found: dict[str, Any] = {}
    wanted = [_expand_one(part) for part in names]
    for part, settings in zip(names, wanted, strict=True):
        free = next((slot for slot in SLOTS if slot in settings and slot not in found), None)
        if free is None:
            raise ValueError(f"one model for each kind of input; none is left for '{part}'")
        found |= {key: value for key, value in settings.items() if key == free or key not in SLOTS}
    for settings in wanted:
        found = {**settings, **found}
    return found


def _expand_one(name: str) -> dict[str, Any]:
    # Numbers and categories have one encoder each, so that to name it is to ask for the layers that join them.
    if name == "mlp" or (name in ARCHITECTURES and not ARCHITECTURES[name].kinds & set(SLOTS.values())):
        return {"grid": {"architecture": "flatten"}, "hidden": list(WIDE_HIDDEN)}
    if name not in ARCHITECTURES:
        nearest_name = nearest(name, ARCHITECTURES)
        if nearest_name and not Path(name).exists():
            raise ValueError(f"an architecture or a checkpoint. {nearest_name.strip()}")
        return {"tokens": {"architecture": "pretrained", "checkpoint": name}}
    kinds = ARCHITECTURES[name].kinds
    return {slot: {"architecture": name} for slot, kind in SLOTS.items() if kind in kinds}


def complete(
    config: NetworkConfig, kinds: set[TensorKind], *, chinese: bool, usual: str = ""
) -> tuple[NetworkConfig, list[str]]:
    """Choose an architecture for each kind of input that has none; return it with a sentence for each choice.

    usual: the architecture of the task, which also says that no layers stand between it and the head.
    """
    chosen: dict[str, Any] = {}
    notes = []
    asked = {kind for slot, kind in SLOTS.items() if getattr(config, slot) is not None}
    if isinstance(config.grid, FlattenConfig) and config.hidden:  # an MLP, which takes numbers and categories as well
        asked |= {TensorKind.DENSE, TensorKind.IDS}
        if TensorKind.GRID not in kinds:
            chosen["grid"] = None
    if asked and not asked & kinds:
        raise ConfigError(
            "model",
            expected=f"an architecture for {listed(sorted(kinds))}, which the columns are encoded to",
            found=f"one for {listed(sorted(asked))}",
            action="Leave model out, or set data.columns",
        )
    if TensorKind.TOKENS in kinds and config.tokens is None:
        checkpoint = CHINESE_CHECKPOINT if chinese else ENGLISH_CHECKPOINT
        chosen["tokens"] = PretrainedConfig(checkpoint=checkpoint)
        notes.append(f"text: fine-tunes the pretrained encoder '{checkpoint}' (change with --model)")
    if TensorKind.GRID in kinds and config.grid is None:
        chosen["grid"] = ResNetConfig()
        notes.append("images: a small residual network from scratch (change with --model)")
    if usual and TensorKind.FRAMES in kinds and config.frames is None:
        chosen["frames"] = ARCHITECTURES[usual].config_type.model_validate({"architecture": usual})
        notes.append(f"windows: {usual} (change with --model)")
    elif TensorKind.FRAMES in kinds and config.frames is None:
        chosen["frames"] = RNNConfig(architecture="gru")
        notes.append("sound: a GRU from scratch (change with --model)")
    if usual and "dropout" not in config.model_fields_set:
        chosen["dropout"] = 0.0  # what is dropped of a window widens the quantiles that are learned
    if config.hidden is None:
        chosen["hidden"] = WIDE_HIDDEN if kinds & {TensorKind.DENSE, TensorKind.IDS} and not usual else ()
    return config.model_copy(update=chosen), notes
