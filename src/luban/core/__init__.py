"""What every other unit stands on: errors, tensors, the machine, the run directory."""
