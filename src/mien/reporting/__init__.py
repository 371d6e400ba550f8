"""What a person reads of a model's figures: plots, model cards, an HTML report."""
