"""Everything that draws: marks on photos and frames, face cards, figures of maps and of diagnoses."""
