"""Host mode: containers in the host's own network namespace."""
