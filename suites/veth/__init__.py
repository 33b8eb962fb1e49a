"""veth pairs: the wire between a container and its bridge."""
