"""Which rows are trained on, validated with and tested on."""
