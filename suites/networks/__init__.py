"""User-defined networks: creating them, choosing addresses, connecting containers."""
