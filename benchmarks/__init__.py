"""What a call and an import cost: ``python -m benchmarks``."""
