"""Readers: each way in which faces lie on disk ends in a ``FaceDataset``."""
