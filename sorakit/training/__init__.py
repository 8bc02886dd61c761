"""Recipes: how the autoencoder and the transformer learn the drawn world, on a laptop's CPU or a GPU."""
