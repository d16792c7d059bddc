"""Build the network, and settle what the training leaves open."""

from __future__ import annotations

import torch

from luban.config import RunConfig
from luban.core import artifact
from luban.core.cache import cache_folder
from luban.core.machine.resources import available_memory
from luban.core.runtime import choose_device, seeded
from luban.models import network as networks
from luban.models import pretrained
from luban.models.network import Network
from luban.run import Run
from luban.stages.prepared import Prepared
from luban.training import recipe
from luban.training.fit import Job, settle


def build(run: Run, prepared: Prepared, *, resume: bool) -> Job:
    """Build the network, load its pretrained parts, settle what the training leaves open."""
    spec = networks.specify(prepared.model, prepared.task.inputs(prepared.schema.specs()), prepared.task.heads())
    networks.check_memory(spec, available_memory(torch.device("cpu")))
    with seeded(run.config.seed, "initialisation"):
        network = Network(spec)
    for name in spec.backbones:
        assert prepared.checkpoint is not None
        run.note("model", *pretrained.load_weights(network.encoder(name), prepared.checkpoint))
        network.encoder(name).requires_grad_(name not in spec.frozen)
    channels = next((item.size for item in spec.inputs if item.height), None)
    job = Job(
        network=network,
        spec=spec,
        task=prepared.task,
        train=prepared.train,
        validation=prepared.validation,
        config=recipe.complete(run.config.train, spec, len(prepared.train), channels),
        seed=run.config.seed,
        device=choose_device(run.config.device),
        folder=run.directory / artifact.CHECKPOINTS,
        row_numbers=prepared.parts.train.table.row_numbers,
        resume=resume,
        cache=cache_folder() / "encoded",
    )
    settle(job, run.config.train, run.tell)
    return job


def resolved(run: Run, prepared: Prepared, settings: recipe.TrainConfig) -> RunConfig:
    """Return the configuration with everything that was decided, so that it repeats the run."""
    data = run.config.data.model_copy(update=prepared.decided)
    task = prepared.settings.model_copy(update={"positive": prepared.positive})
    return run.config.model_copy(update={"data": data, "task": task, "model": prepared.model, "train": settings})
