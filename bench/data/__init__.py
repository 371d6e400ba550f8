"""Reading data sets, and the drawn faces."""
