"""Egress: how the connections of containers leave the host."""
