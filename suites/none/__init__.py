"""None mode: containers with nothing but a loopback."""
