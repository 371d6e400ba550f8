"""How scores are read: what may be said of groups."""
