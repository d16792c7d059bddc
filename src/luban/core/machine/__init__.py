"""The machine: its memory, its limits, and what a run costs."""
