"""A cache as bytes and as a graph: the config on the wire, the chains, what wraps them. No I/O."""
