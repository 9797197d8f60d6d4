"""What the stages agree on: frozen data and pure rules, with no I/O and no vendor."""
