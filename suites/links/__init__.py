"""Links: the legacy --link between containers on the default bridge."""
