"""Layers: how they are compressed, their diff IDs, and turning one compression into another."""
