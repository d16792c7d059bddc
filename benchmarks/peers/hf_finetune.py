"""Hugging Face Trainer, as its documentation has it: padding to the longest row of a batch, nothing saved or evaluated
while it trains.

The tokenised rows are a list in memory: `datasets` would map them in files, which takes longer.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
from side import Stopwatch, answer, read_job
from sklearn.metrics import accuracy_score, f1_score
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)


class StopAfterFirstStep(TrainerCallback):
    """Notes the time of the first step and ends the training."""

    ended: float

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.ended = time.time()
        control.should_training_stop = True


def tokenized(frame: pd.DataFrame, job: dict[str, Any], tokenizer: Any, ids: dict[str, int]) -> list[dict[str, Any]]:
    texts = [frame[column].tolist() for column in job["columns"]]
    encoded = tokenizer(*texts, truncation=True, max_length=job["max_length"])
    labels = frame[job["target"]].map(ids)
    return [{key: encoded[key][i] for key in encoded} | {"labels": label} for i, label in enumerate(labels)]


def main() -> None:
    job = read_job()
    stopwatch = Stopwatch()
    set_seed(job["seed"])
    train_frame, test_frame = (pd.read_csv(job[role]) for role in ("train", "test"))
    names = sorted(train_frame[job["target"]].unique())
    ids = {name: i for i, name in enumerate(names)}
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    train_rows = tokenized(train_frame, job, tokenizer, ids)
    test_rows = tokenized(test_frame, job, tokenizer, ids)
    model = AutoModelForSequenceClassification.from_pretrained(
        job["model"], num_labels=len(names), id2label={i: str(name) for name, i in ids.items()}
    )
    if job.get("frozen"):
        model.base_model.requires_grad_(False)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=job["work"],
            num_train_epochs=job["epochs"],
            per_device_train_batch_size=job["batch_size"],
            per_device_eval_batch_size=64,
            learning_rate=job["learning_rate"],
            lr_scheduler_type=job.get("schedule", "linear"),
            warmup_steps=job["warmup"],  # a share of all steps
            weight_decay=job["weight_decay"],
            optim="adamw_torch_fused",
            bf16=job.get("bfloat16", False),
            train_sampling_strategy="group_by_length" if job.get("group_by_length") else "random",
            use_cpu=job["device"] == "cpu",
            seed=job["seed"],
            eval_strategy="no",
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=train_rows,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    packages = ("transformers", "accelerate", "torch")
    if job.get("first_step"):
        stop = StopAfterFirstStep()
        trainer.add_callback(stop)
        stopwatch.stage("prepare")
        trainer.train()
        answer(stopwatch, packages, first_step=stop.ended, rows=len(train_rows))
        return
    stopwatch.stage("prepare")
    trainer.train()
    stopwatch.stage("train")
    found = trainer.predict(test_rows)
    predicted = np.argmax(found.predictions, axis=1)
    scores = {"accuracy": accuracy_score(found.label_ids, predicted)}
    if len(names) == 2:
        scores["f1"] = f1_score(found.label_ids, predicted)
    stopwatch.stage("evaluate")
    if "save" in job:
        trainer.save_model(job["save"])
        tokenizer.save_pretrained(job["save"])
    answer(stopwatch, packages, scores=scores, rows=len(train_rows), steps=trainer.state.global_step)


if __name__ == "__main__":
    main()
