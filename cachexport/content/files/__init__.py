"""Files: written whole or not at all, locked, removed; the errors of the system as ours."""
