"""From a photo to faces: speed, and the limits of what is usable."""
