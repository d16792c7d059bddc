"""Predicting MRPC's test file with a fine-tuned MiniLM, against Hugging Face Trainer and pipeline.

From the file to the predicted labels; the process and the model are up already. Each side fine-tunes its own model
first, on few rows: what a prediction costs does not depend on the weights, and mrpc.py compares the scores.
"""

from pathlib import Path

import luban_side
from harness import Bench, Claim, Job, Peer, main

SETUP_ROWS = 256
TRANSFORMERS = ("transformers", "accelerate", "pandas")


def fine_tune(bench: Bench, job: Job) -> Job:
    """Fine-tune a model on each side, whose places the jobs are then told."""
    small = bench.job(0, min(SETUP_ROWS, bench.options.rows or SETUP_ROWS), 1)
    saved = str(Path(small["work"], "saved"))
    bench.process(luban_side.command(small), small)
    bench.script("hf_finetune.py", small | {"save": saved})
    return {"run": str(luban_side.run_directory(small)), "saved": saved}


CLAIM = Claim(
    name="predict",
    text="predict MRPC's test file with a fine-tuned MiniLM",
    train="mrpc/train.csv",
    test="mrpc/test.csv",
    target="label",
    columns=("sentence1", "sentence2"),
    model="minilm",
    epochs=1,
    shared={
        "batch_size": 16,
        "learning_rate": 5e-5,
        "schedule": "linear",
        "warmup": 0.1,
        "weight_decay": 0.01,
        "max_length": 128,
        "predict_batch_size": 64,
    },
    luban={"train": {"probe": False}},
    peers=(
        Peer("trainer", "hf_predict.py", TRANSFORMERS, bar=4, options={"how": "trainer"}),
        Peer("pipeline", "hf_predict.py", TRANSFORMERS, bar=4, options={"how": "pipeline"}),
        Peer(
            "trainer-bfloat16",
            "hf_predict.py",
            TRANSFORMERS,
            bar=2,
            options={"how": "trainer", "bfloat16": True},
            bfloat16=True,
        ),
    ),
    measured="predict",
    scored=False,
    luban_script="luban_predict.py",
    setup=fine_tune,
)

if __name__ == "__main__":
    main(CLAIM)
