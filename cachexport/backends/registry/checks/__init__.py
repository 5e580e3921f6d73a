"""What `doctor` checks of a registry: `table` says in which order."""
