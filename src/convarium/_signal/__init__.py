"""What :mod:`convarium.signal` is made of: one idea a file, nothing here is public."""
