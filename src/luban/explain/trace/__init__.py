"""One training step opened up: what each layer, loss and optimizer computes for a row."""
