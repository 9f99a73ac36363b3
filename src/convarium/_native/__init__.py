"""The C++ core, seen from Python: the library as it is loaded, the structures of its header, and its memory."""
