"""Looking after caches that live for years: verify, repair, prune, compact, names."""
