"""The default bridge: its device, its addresses and what the engine says of it."""
