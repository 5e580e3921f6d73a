"""What a place for content can do, and the one way in which content is copied between two."""
