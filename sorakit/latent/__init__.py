"""Stage 2: frames to latents and back, and words to vectors."""
