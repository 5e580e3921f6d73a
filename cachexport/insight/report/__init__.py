"""Caches as one page to look at: what they hold, how large, how old, and what is wrong."""
