"""Predicts a file with a fine-tuned model: Trainer.predict, or the pipeline, in batches padded to their longest row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from side import Stopwatch, answer, read_job
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    pipeline,
)


def with_trainer(frame: pd.DataFrame, job: dict[str, Any], trainer: Trainer, tokenizer: Any) -> list[str]:
    texts = [frame[column].tolist() for column in job["columns"]]
    encoded = tokenizer(*texts, truncation=True, max_length=job["max_length"])
    rows = [{key: encoded[key][i] for key in encoded} for i in range(len(frame))]
    found = trainer.predict(rows)
    return [trainer.model.config.id2label[i] for i in np.argmax(found.predictions, axis=1)]


def with_pipeline(frame: pd.DataFrame, job: dict[str, Any], classify: Any) -> list[str]:
    first, *second = job["columns"]
    texts = [{"text": text} for text in frame[first]]
    if second:
        texts = [row | {"text_pair": text} for row, text in zip(texts, frame[second[0]], strict=True)]
    options = {"batch_size": job["predict_batch_size"], "truncation": True, "max_length": job["max_length"]}
    return [found["label"] for found in classify(texts, **options)]


def main() -> None:
    job = read_job()
    stopwatch = Stopwatch()
    tokenizer = AutoTokenizer.from_pretrained(job["saved"])
    model = AutoModelForSequenceClassification.from_pretrained(job["saved"])
    if job["how"] == "trainer":
        arguments = TrainingArguments(
            output_dir=job["work"],
            per_device_eval_batch_size=job["predict_batch_size"],
            bf16_full_eval=job.get("bfloat16", False),
            use_cpu=job["device"] == "cpu",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(model=model, args=arguments, data_collator=DataCollatorWithPadding(tokenizer))
    else:
        device = "cpu" if job["device"] == "cpu" else None
        classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device=device)
    stopwatch.stage("load")
    frame = pd.read_csv(job["test"])
    if job["how"] == "trainer":
        predicted = with_trainer(frame, job, trainer, tokenizer)
    else:
        predicted = with_pipeline(frame, job, classify)
    stopwatch.stage("predict")
    accuracy = float(np.mean([name == str(label) for name, label in zip(predicted, frame[job["target"]], strict=True)]))
    answer(stopwatch, ("transformers", "accelerate", "torch"), scores={"accuracy": accuracy}, rows=len(frame))


if __name__ == "__main__":
    main()
