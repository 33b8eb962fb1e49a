"""Reachability on one host: within a network, from the host, across networks."""
