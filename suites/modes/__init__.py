"""The predefined networks, and the one a container gets unasked."""
