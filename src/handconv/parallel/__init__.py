"""Processes and what they share; it knows nothing of training."""
