"""Other machines: what they reach of a host and its containers."""
