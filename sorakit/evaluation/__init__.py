"""How good films are: the referee that reads a film back into a scene, the measures, and their report."""
