"""From a recipe and faces to a trained network: augmentation, loss, loop, teachers, checkpoints. Needs ``train``."""
