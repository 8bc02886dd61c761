"""Stage 1: what is asked for."""
