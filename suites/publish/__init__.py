"""Published ports: container ports on the addresses of the host."""
