"""Stage 6: what may be made, and the mark on what was made."""
