"""From a cold process to the end of the first training step on banking77, against a script with Hugging Face Trainer.

Imports, reading, tokenising and loading the model count; the process ends after the step.
"""

from harness import Claim, Peer, main

TRAINER = ("transformers", "accelerate", "pandas")
CLAIM = Claim(
    name="start",
    text="from a cold process to the first training step on banking77",
    train="banking77/train.csv",
    test="banking77/test.csv",
    target="category",
    columns=("text",),
    model="minilm",
    epochs=3,
    shared={
        "batch_size": 16,
        "learning_rate": 5e-5,
        "schedule": "linear",
        "warmup": 0.1,
        "weight_decay": 0.01,
        "max_length": 128,
    },
    luban={"train": {"probe": False}},
    peers=(Peer("trainer", "hf_finetune.py", TRAINER, bar=2, options={"first_step": True}),),
    measured="first_step",
    scored=False,
    luban_script="luban_start.py",
)

if __name__ == "__main__":
    main(CLAIM)
