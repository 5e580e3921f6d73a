"""Images on their way: into a store, and from and to registries."""
