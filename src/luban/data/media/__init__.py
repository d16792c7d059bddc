"""Pictures and sound: the one decoder of each, with its formats and limits, and the cells that name files."""
