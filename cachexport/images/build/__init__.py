"""A build without a daemon: steps that make layers, and the graph of what they did."""
