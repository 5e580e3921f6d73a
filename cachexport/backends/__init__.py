"""The backends that come with cachexport; each is found through its entry point, by name."""
