"""Stage 5: decoded frames to a finished film."""
