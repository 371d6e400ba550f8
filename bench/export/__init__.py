"""From finished runs to published scores and shipped models."""
