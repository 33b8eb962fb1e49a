"""Names between containers."""
