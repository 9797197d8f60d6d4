"""What would happen: of a signal as it stands or under other thresholds, with nothing written and nothing sent."""
