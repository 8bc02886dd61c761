"""Stage 3: from noise to latents, a step at a time."""
