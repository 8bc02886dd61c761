"""Stage 4: the network that says where noise should move."""
