"""The distribution API over HTTP: requests in, answers out, and who may ask."""
