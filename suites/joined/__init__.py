"""Container mode: containers that join another container's network namespace."""
