"""The field case, told on a terminal: `make demo`. Every line is measured as it runs."""
