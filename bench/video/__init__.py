"""Videos: speed, memory, quality."""
