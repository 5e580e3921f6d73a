"""Examining a place for caches. Each backend brings its checks; this runs them."""
