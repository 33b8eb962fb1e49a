"""Carrying over: what happens to what already runs while the engine is replaced or restarted."""
