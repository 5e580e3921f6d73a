"""What a gateway serves of a place and of those behind it."""
