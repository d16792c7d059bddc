"""What a first run with no settings trains with: the defaults of every kind of network, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from luban.core.errors import ConfigError, listed
from luban.core.runtime import Precision
from luban.core.settings import LARGEST, Settings
from luban.core.tensors import TensorKind
from luban.models.network import NetworkSpec
from luban.tasks.base import LossConfig
from luban.training.augment import AugmentConfig
from luban.training.optim.optimizers import OptimConfig, OptimizerName, ScheduleName, momentum_of

MOST_EPOCHS, LARGEST_BATCH, MOST_WORKERS = 1_000_000, 10_000_000, 256
MOST_STEPS = MOST_TOKENS = 1_000_000_000


class TrainConfig(Settings):
    """Settings of the training; None takes the recipe's value.

    steps: of the optimizer in all, in place of epochs. batch_size: rows of one step; auto for what is measured to train
    most rows a second. batch_tokens: tokens and frames of one step, in place of its rows. accumulate: forward passes
    that it is cut into. validate_every: steps between two validations, beside those at the end of each epoch. patience:
    epochs, or validations where they are more, without a better score before the training stops, 0 to train to the end.
    probe: fit the head on frozen features before a pretrained network is fine-tuned. ema: decay of an
    exponential average of the weights, which is then what is validated and kept; swa: share of the steps, at the end,
    over which the weights are averaged instead.
    preflight: check the run before time is spent on it. compile: use torch.compile; auto where that is measured to pay.
    checkpoint_seconds: between two checkpoints. workers: threads that make batches ahead.
    """

    epochs: int | None = Field(None, ge=1, le=MOST_EPOCHS)
    steps: int | None = Field(None, ge=1, le=MOST_STEPS)
    batch_size: Literal["auto"] | Annotated[int, Field(ge=1, le=LARGEST_BATCH)] | None = None
    batch_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    accumulate: int = Field(1, ge=1, le=LARGEST_BATCH)
    validate_every: int | None = Field(None, ge=1, le=MOST_STEPS)
    patience: int | None = Field(None, ge=0, le=MOST_EPOCHS)
    precision: Precision = "auto"
    group_by_length: bool = True
    probe: bool | None = None
    metric: str | None = None
    ema: float | None = Field(None, gt=0, lt=1)
    swa: float | None = Field(None, gt=0, lt=1)
    preflight: bool = True
    compile: Literal["auto"] | bool = "auto"
    checkpoint_seconds: float = Field(30.0, gt=0, le=LARGEST)
    workers: int | None = Field(None, ge=0, le=MOST_WORKERS)
    optim: OptimConfig = OptimConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig | Literal["auto", "none"] = "auto"

    @property
    def rows_per_step(self) -> int:
        """The batch size, once it is settled."""
        assert isinstance(self.batch_size, int)
        return self.batch_size


@dataclass(frozen=True)
class Recipe:
    """Defaults of one kind of network."""

    epochs: int
    batch_size: int
    patience: int
    optimizer: OptimizerName
    learning_rate: float
    schedule: ScheduleName
    warmup: float
    weight_decay: float
    backbone_learning_rate: float = 1e-4
    probe: bool = False


RECIPES: dict[str, Recipe] = {
    "finetune": Recipe(5, 16, 2, "adamw", 1e-3, "linear", 0.1, 0.01, backbone_learning_rate=1e-4, probe=True),
    "frozen": Recipe(60, 64, 10, "adamw", 2e-3, "cosine", 0.05, 0.01),
    "image": Recipe(15, 128, 5, "adamw", 2e-3, "trapezoidal", 0.1, 0.02),
    "sequence": Recipe(15, 32, 4, "adamw", 1e-3, "cosine", 0.1, 0.05),
    "windows": Recipe(10, 32, 6, "adamw", 1e-3, "cosine", 0.05, 0.01),
    "tabular": Recipe(30, 256, 6, "adamw", 1e-3, "cosine", 0.05, 0.01),
}
# Factors on the recipe's learning rate and weight decay, by optimizer. Lion's steps are larger than AdamW's: it takes a
# third to a tenth of the rate, and as many times the decay (Chen et al. 2023, arXiv:2302.06675). Elsewhere the decay is
# an L2 term inside the gradient, where the recipe's would mean another thing.
FACTORS = {"adamw": (1.0, 1.0), "muon": (1.0, 1.0), "lion": (0.1, 10.0)}
COUPLED = (1.0, 0.0)
WINDOW_STEPS, MOST_WINDOW_EPOCHS = 2_000, 100  # of a forecast, as far as the epochs go
SMALL_BATCHES = 20  # an epoch has at least so many steps where the rows allow it


def kind_of(spec: NetworkSpec) -> str:
    """Return the name of the recipe for a network."""
    if spec.backbones:
        return "frozen" if spec.frozen == spec.backbones else "finetune"
    kinds = {input_spec.kind for input_spec in spec.inputs}
    if TensorKind.GRID in kinds:
        return "image"
    if any(input_spec.length for input_spec in spec.inputs):
        return "windows"
    return "sequence" if kinds & {TensorKind.TOKENS, TensorKind.FRAMES} else "tabular"


def refuse_contradiction(config: TrainConfig) -> None:
    """Raise ConfigError for settings of which only one can hold."""
    if config.ema and config.swa:
        raise ConfigError(
            "train.ema, train.swa", expected="one average of the weights", found="two", action="Leave one of them out"
        )
    if config.epochs and config.steps:
        raise ConfigError(
            "train.epochs, train.steps",
            expected="one length of the training",
            found=f"{config.epochs:,} epochs and {config.steps:,} steps",
            action="Leave one of them out",
        )
    if config.batch_tokens and config.batch_size:
        raise ConfigError(
            "train.batch_size, train.batch_tokens",
            expected="one size of a batch",
            found=f"{config.batch_size} rows and {config.batch_tokens:,} tokens",
            action="Leave one of them out",
        )
    if config.batch_tokens and not config.group_by_length:
        raise ConfigError(
            "train.group_by_length, train.batch_tokens",
            expected="true, since a batch of so many tokens holds rows of like length",
            found="false",
            action="Leave one of them out",
        )


def complete(config: TrainConfig, spec: NetworkSpec, rows: int, channels: int | None) -> TrainConfig:
    """Fill every None from the recipe. rows: of training. channels: of the images, None where there are none."""
    recipe = RECIPES[kind_of(spec)]
    refuse_unusable(config, spec, channels)
    refuse_contradiction(config)
    given = None if config.batch_size == "auto" else config.batch_size
    batch_size = given or max(1, min(recipe.batch_size, rows // SMALL_BATCHES))
    epochs = config.epochs or recipe.epochs
    if config.epochs is None and kind_of(spec) == "windows":  # series are short, and a step of a linear layer is quick
        epochs = max(epochs, min(MOST_WINDOW_EPOCHS, -(-WINDOW_STEPS * batch_size // max(1, rows))))
    optim = config.optim
    filled = {
        name: getattr(recipe, name) if getattr(optim, name) is None else getattr(optim, name)
        for name in ("optimizer", "learning_rate", "schedule", "warmup", "weight_decay")
    }
    rate_factor, decay_factor = FACTORS.get(str(filled["optimizer"]), COUPLED)
    if optim.learning_rate is None:
        filled["learning_rate"] = recipe.learning_rate * rate_factor
    if optim.weight_decay is None:
        filled["weight_decay"] = recipe.weight_decay * decay_factor
    backbone_rate = optim.backbone_learning_rate or optim.learning_rate or recipe.backbone_learning_rate * rate_factor
    filled["backbone_learning_rate"] = backbone_rate if spec.backbones else None
    filled["momentum"] = momentum_of(str(filled["optimizer"]), optim.momentum)
    can_probe = spec.is_linear and len(spec.backbones) == len(spec.inputs)
    return config.model_copy(
        update={
            "epochs": None if config.steps else epochs,
            "batch_size": None if config.batch_tokens else batch_size,
            "patience": recipe.patience if config.patience is None else config.patience,
            "probe": can_probe and (recipe.probe if config.probe is None else config.probe),
            "augment": _augmentation(config, channels),
            "optim": optim.model_copy(update=filled),
        }
    )


def refuse_unusable(config: TrainConfig, spec: NetworkSpec, channels: int | None) -> None:
    """Raise ConfigError for a setting that this network cannot honour."""
    unusable = {
        "train.augment": isinstance(config.augment, AugmentConfig) and channels is None,
        "train.probe": bool(config.probe) and (not spec.is_linear or len(spec.backbones) != len(spec.inputs)),
        "train.optim.backbone_learning_rate": config.optim.backbone_learning_rate is not None and not spec.backbones,
    }
    for setting, is_unusable in unusable.items():
        if is_unusable:
            raise ConfigError(
                setting,
                expected="a network that it applies to (images; pretrained encoders)",
                found=f"encoders for {listed(sorted({item.kind for item in spec.inputs}))}",
                action="Leave the setting out",
            )


def _augmentation(config: TrainConfig, channels: int | None) -> AugmentConfig | Literal["none"]:
    """Photographs are mirrored and shifted; grey images (digits, scans) are shifted only, since mirrored they mean
    something else."""
    if config.augment != "auto":
        return config.augment
    return "none" if channels is None else AugmentConfig(flip=channels == 3, crop=2 if channels == 1 else 4)
