"""Convolutions of every kind, for PyTorch."""
