"""Arrays larger than memory: what a block of the result reads, how it is computed, and where it is kept."""
