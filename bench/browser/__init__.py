"""What the networks cost in a browser, and how far it agrees with Python."""
