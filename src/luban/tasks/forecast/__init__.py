"""Forecasts: what comes after a window of a time series."""
