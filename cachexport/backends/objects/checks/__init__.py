"""What `doctor` checks of a store of objects: `table` says in which order."""
