"""The stages of a training, one file each; `pipeline.py` has their order."""
