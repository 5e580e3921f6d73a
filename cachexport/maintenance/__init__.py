"""Looking at caches and looking after them, wherever they are stored."""
