"""Plain numbers from every kind of column, for linear models: those that doubt labels, and those to be beaten."""
