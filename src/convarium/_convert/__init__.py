"""Weights of other libraries: where their numbers lie, and the layers that they belong to."""
