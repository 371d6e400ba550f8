"""What decoding pictures costs, and what damaged and hostile ones do."""
