"""Running one build command with caches in any place: behind a gateway that lasts as long."""
