"""Why a model says what it says, and how it learns: attributions, and one training step opened up."""
