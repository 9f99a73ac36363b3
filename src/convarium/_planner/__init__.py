"""Which engine computes which map, and why."""
