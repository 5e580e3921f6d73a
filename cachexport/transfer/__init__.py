"""Moving caches: from sources, through chains where they change, to targets."""
