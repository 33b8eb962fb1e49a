"""Overlay networks: one network over several hosts."""
