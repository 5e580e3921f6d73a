"""What `doctor` checks of a bucket: `table` says in which order."""
