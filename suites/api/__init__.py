"""The engine's API: which versions of it are served."""
