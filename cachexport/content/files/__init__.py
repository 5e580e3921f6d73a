"""Files as a store of content needs them: whole or not at all, locked, with errors that tell."""
