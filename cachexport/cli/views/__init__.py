"""What verbs answer: lines for people, and documents that become JSON."""
