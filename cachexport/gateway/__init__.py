"""The registry protocol in front of any place for caches, and commands run behind it."""
