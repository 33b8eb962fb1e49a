"""Underlay: the host's own interface is a port of the bridge that its containers are on."""
