"""Files and what can be wrong with them: written whole or not at all, refused in one line."""
