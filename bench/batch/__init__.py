"""Benchmarks of photos by the million."""
