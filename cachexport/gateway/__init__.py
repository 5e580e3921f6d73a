"""The registry protocol in front of any place for caches."""
