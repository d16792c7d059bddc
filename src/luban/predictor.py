"""Schema, network and task together: what evaluation, export and serving share."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor, nn

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ArtifactError, ConfigError, DataError, LubanError, listed, nearest
from luban.core.runtime import autocast, choose_device, emulates_bfloat16
from luban.core.sentence import sentence
from luban.core.strict import checked
from luban.core.tensors import Batch, Columns, EncodedColumn, InputSpec, OutputSpec, Ragged, only
from luban.core.weights_file import at_most, check_same
from luban.data.table import Table
from luban.features import cache
from luban.features.dataset import Dataset
from luban.features.parsing.recognised import require_recognised
from luban.features.schema import Schema
from luban.forward import forward_all, gathered
from luban.models import older
from luban.models.building import fill, no_weights, not_stored
from luban.models.network import Network, NetworkSpec
from luban.models.packed import packed
from luban.tasks.base import Floats, Task
from luban.tasks.stored import load_task
from luban.tasks.validated import Validated

TOKENIZERS = "*tokenizer*.json"
# What layers raise whose sizes do not fit together, or are beyond all bounds.
UNBUILDABLE = (RuntimeError, ValueError, TypeError, LookupError, AssertionError, ArithmeticError, MemoryError)


@dataclass(frozen=True)
class Prediction:
    """frame: one row for each row of the table, in its order, or of a forecast for each step that is forecast. parts:
    the same as the numbers of each of the task's parts, rows first.

    notes: what was unusual in the table, a sentence each.
    """

    frame: pl.DataFrame
    parts: tuple[Floats, ...]
    notes: list[str]

    @property
    def outputs(self) -> Floats:
        """The numbers of a task of one target."""
        (found,) = self.parts
        return found


class Predictor:
    """A trained model, from a table to predictions.

    temperature: that its logits are divided by (calibration). decision: a sentence that says from which probability on
    a label is predicted, where that is for a stated goal.
    """

    def __init__(
        self,
        schema: Schema,
        task: Task,
        spec: NetworkSpec,
        network: Network,
        device: torch.device,
    ) -> None:
        self.schema, self.task, self.spec, self.device = schema, task, spec, device
        self.temperature = 1.0
        self.decision: str | None = None
        self.network = network.to(device).eval()
        self.dtype = spec_dtype(spec, device)

    def use(self, validated: Validated) -> None:
        """Take over what validation rows told: the temperature, and the threshold of a stated goal."""
        self.temperature = validated.temperature
        self.decision = validated.sentence(self.task)
        self.task = validated.decide(self.task)

    def predict(self, table: Table, horizon: int | None = None) -> Prediction:
        """Predict every row. A cell that cannot be read counts as missing, and a note says so.

        horizon: steps of a forecast that are wanted; all that it was trained for if None.

        A row for which the outputs of the network are not finite has no prediction, and a note says so. Raises
        SchemaError where a column that the model needs is not there, DataError where no row has finite outputs.
        """
        self.task.check_horizon(horizon)
        table, read = self.as_trained(table)
        notes = [*read, *self.schema.check(table)]
        table, told = self.task.rearranged(table, "predict")
        notes += told
        inputs, bad = cache.encode(self.schema, table, None, None)
        require_recognised(self.schema.features, table, bad)
        if bad:
            position, (column, reason) = next(iter(bad.items()))
            notes.append(
                f"{table.name}: {len(bad)} of {len(table)} rows hold a cell that cannot be read and counts as missing "
                f"(the first: row {table.row_numbers[position]}, column '{column}', {reason})"
            )
        dataset = self.examples(table, inputs)
        if self.task.is_ordered:
            table = table.take(dataset.rows)
        found = self.all_outputs(dataset)
        frames = []
        for part, outputs in zip(self.parts, found, strict=True):
            frame, lost = part.task.decode(outputs, table.frame), not_finite(outputs)
            if len(lost):
                if len(lost) == len(outputs):
                    check_finite(outputs, table)
                notes.append(
                    sentence(
                        "predict.not_finite",
                        "{name}: {lost} of {rows} rows have no prediction, since the outputs of the network are not "
                        "finite (the first: row {first})",
                        name=table.name,
                        lost=len(lost),
                        rows=len(table),
                        first=int(table.row_numbers[lost[0]]),
                    )
                )
            frames.append(known(frame, outputs, left_out=self.task.is_ordered))
        return Prediction(self.task.laid_out(self.task.beside(frames), horizon), found, notes)

    def examples(self, table: Table, inputs: dict[str, EncodedColumn]) -> Dataset:
        """Return what is predicted of a table in order: its rows, or what follows the last of them."""
        if not self.task.is_ordered:
            return Dataset.of(self.schema, inputs, {})
        targets, _ = self.task.encode_targets(table.frame)
        return self.task.examples(Dataset.of(self.schema, inputs, targets), table, "predict")

    def as_trained(self, table: Table) -> tuple[Table, tuple[str, ...]]:
        """Return rows with their cells written as those of the training were, and what was read otherwise than it
        stands, a sentence each."""
        return self.schema.as_trained(table, {part.target: part.spellings() for part in self.task.parts})

    @cached_property
    def parts(self) -> tuple[Predictor, ...]:
        """A predictor of each target alone, with a temperature and a threshold of its own; the weights are shared."""
        if self.task.parts == (self.task,):
            return (self,)
        return tuple(self._of(part) for part in self.task.parts)

    def part(self, target: str | None) -> Predictor:
        """Return the predictor of a target, of the first if None. Raises ConfigError for one that there is not."""
        by_target = {part.task.target: part for part in self.parts}
        if target is not None and target not in by_target:
            raise ConfigError(
                "target",
                expected=f"a target of the run: {listed(by_target)}",
                found=f"'{target}'",
                action=f"{nearest(target, by_target)}Choose one of these",
            )
        return by_target[target] if target is not None else self.parts[0]

    def _of(self, part: Task) -> Predictor:
        names = {spec.name for spec in part.heads()}
        return Predictor(self.schema, part, self.spec.narrowed(names), self.network.narrowed(names), self.device)

    def all_outputs(self, dataset: Dataset) -> tuple[Floats, ...]:
        """Return the outputs of each part for every row, as `outputs` does, of one pass through the network."""

        def keep(batch: Batch) -> Columns:
            outputs, found = self._forward(batch.inputs), Columns()
            for part in self.parts:
                found |= part.task.keep(outputs, batch)
            return found

        kept = gathered(self.network, dataset, self.device, self.dtype, keep)
        return tuple(part.of_kept(kept) for part in self.parts)

    def answers_of(self, batch: Batch) -> Floats:
        """Return the answers for a batch that is on the device, of a task that makes them of what it keeps."""
        with torch.inference_mode(), autocast(self.device, self.dtype):
            kept = self.task.keep(self._forward(batch.inputs), batch)
        return self.task.answers({name: value.to(torch.device("cpu")) for name, value in kept.items()})

    def of_kept(self, kept: Columns) -> Floats:
        """Return the outputs of a task of one target, from what is kept of rows."""
        if not self.task.has_logits:
            return self.task.answers(kept)
        return self.of_logits(only({"": kept[self.task.target]}))

    def outputs(self, dataset: Dataset) -> Floats:
        """Return the task's outputs for every row, in order: probabilities (rows, C), or values (rows,); NaN where the
        network's own are infinite, too, which a sigmoid would make a certain answer of."""
        (found,) = self.all_outputs(dataset)
        return found

    def of_logits(self, logits: Tensor) -> Floats:
        """Return the task's outputs, as `outputs` does, from the head's, (rows, output_dim)."""
        logits = torch.where(logits.isfinite(), logits, torch.nan)
        found: Floats = self.task.outputs(logits / self.temperature).numpy()
        return found

    def logits(self, dataset: Dataset) -> Tensor:
        """Return the head's outputs for every row, in order, (rows, output_dim), before the temperature."""
        return forward_all(self.network, dataset, self.device, self.dtype, lambda inputs: only(self._forward(inputs)))

    def kept(self, dataset: Dataset) -> Floats:
        """Return the answers that the task makes of what it keeps of labelled rows, as a training validates them."""
        found = gathered(
            self.network,
            dataset,
            self.device,
            self.dtype,
            lambda batch: self.task.keep(self._forward(batch.inputs), batch),
        )
        return self.task.answers(found)

    def vectors(self, dataset: Dataset) -> Tensor:
        """Return the encoders' joined vectors of every row, in order, (rows, D)."""
        network = self._forward
        assert isinstance(network, Network)
        return forward_all(self.network, dataset, self.device, self.dtype, network.join)

    def logits_of(self, inputs: dict[str, Tensor | Ragged]) -> Tensor:
        """Return the head's outputs (rows, output_dim) float32 for a batch that is on the device, in the precision of
        predictions, before the temperature."""
        with torch.no_grad(), autocast(self.device, self.dtype):
            return only(self._forward(inputs)).float()

    @cached_property
    def _forward(self) -> nn.Module:
        return packed(self.network, self.device, self.dtype).eval()

    def save(self, run: RunDirectory) -> None:
        """Write everything that `load` needs."""
        artifact.write_json(run / artifact.FEATURES, self.schema.state())
        for name, content in self.schema.files().items():
            artifact.write_bytes(run / name, content)
        artifact.write_json(run / artifact.TASK, {"name": self.task.name, "state": self.task.state()})
        artifact.write_json(run / artifact.NETWORK, self.spec.model_dump(mode="json"))
        artifact.write_weights(run / artifact.WEIGHTS, self.network.state_dict())

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Predictor:
        """Load a finished run; needs neither the training data nor a network connection."""
        run = RunDirectory.open(path)
        files = {name: run.read(name) for name in run.manifest.files if fnmatchcase(name, TOKENIZERS)}
        try:
            schema = Schema.from_state(run.read_json(artifact.FEATURES), files)
        except ArtifactError as error:
            where = error.where if Path(error.where).parent == run.path else str(run / error.where)
            raise ArtifactError(where, expected=error.expected, found=error.found, action=error.action) from error
        task = load_task(run)
        spec, network = empty_network(run, task.inputs(schema.specs()), task.heads())
        fill(network, older.as_today(run.weights()), str(run / artifact.WEIGHTS))
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        predictor = cls(schema, task, spec, network, choose_device(device))
        for part in predictor.parts:
            part.use(Validated.load(run, part.task))
        return predictor


def empty_network(
    run: RunDirectory, inputs: list[InputSpec], outputs: tuple[OutputSpec, ...]
) -> tuple[NetworkSpec, Network]:
    """Return what a run stores of its network, and the network itself, whose weights take no memory yet.

    inputs, outputs: what its columns and its task ask for. Raises ArtifactError where the network is another, or the
    file of weights cannot fill it.
    """
    path, stored = run / artifact.NETWORK, older.as_today(run.weights_header())
    try:
        spec = checked(NetworkSpec, older.settings(run.read_json(artifact.NETWORK), outputs))
        if list(spec.inputs) != inputs:
            raise ValueError(f"inputs: others than those of {artifact.FEATURES}")
        if spec.outputs != outputs:
            raise ValueError(f"outputs: others than those of {artifact.TASK}")
        with torch.device("meta"), at_most(len(stored)):
            network = Network(spec)
    except (*UNBUILDABLE, LubanError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise artifact.damaged(path, "the network of a run", error) from error
    try:
        check_same(stored, network.state_dict())
        if not_stored(network):  # what it computes itself, now that its sizes are known to be those of the file
            with no_weights():
                network = Network(spec)
    except ValueError as error:
        raise artifact.damaged(run / artifact.WEIGHTS, "the weights of the network", error) from error
    return spec, network


def not_finite(outputs: Floats) -> npt.NDArray[np.int64]:
    """Return the positions of the rows that have an output which is no number, or infinite."""
    if outputs.dtype == object:  # rows of parts, as many as each has
        return np.flatnonzero([not np.isfinite(row).all() for row in outputs])
    return np.flatnonzero(~np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1))


def known(frame: pl.DataFrame, outputs: Floats, *, left_out: bool = False) -> pl.DataFrame:
    """Return what was made of outputs, rows first, null in each row that has one which is not finite, or without these
    rows."""
    lost = not_finite(outputs)
    if not len(lost):
        return frame
    is_known = pl.Series(np.isin(np.arange(len(outputs)), lost, invert=True))
    return frame.filter(is_known) if left_out else frame.select(pl.when(is_known).then(pl.all()))


def check_finite(outputs: Floats, table: Table) -> None:
    """Raise DataError where the outputs of a row of the table are not finite: they are no answer, and have no score."""
    lost = not_finite(outputs)
    if len(lost):
        raise DataError(
            table.name,
            expected="rows for which the outputs of the network are finite",
            found=f"{len(lost)} of {len(outputs)} for which they are not (the first: row {table.row_numbers[lost[0]]})",
            action="Look for extreme values in these rows; if there are none, train the model again",
        )


def spec_dtype(spec: NetworkSpec, device: torch.device) -> torch.dtype:
    """Return the precision to predict in: that of the training, unless this device has to emulate it."""
    if spec.precision == "float32" or emulates_bfloat16(device):
        return torch.float32
    return torch.bfloat16
