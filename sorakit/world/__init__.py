"""The drawn world: scenes that can be described, drawn and measured exactly."""
