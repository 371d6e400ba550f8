"""Networks: their speed and size."""
