"""What a backend is: sources, targets, places, checks, and the specifications that open them."""
