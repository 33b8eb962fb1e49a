"""Firewall: the engine's own chains and rules."""
