"""Training: its speed, its parts, teachers and students."""
