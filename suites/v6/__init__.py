"""IPv6: networks that have it, and what the engine does to let it pass."""
