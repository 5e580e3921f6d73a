"""The ways in which `cachexport inspect` shows a cache, each as lines of text."""
