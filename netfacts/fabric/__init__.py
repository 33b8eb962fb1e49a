"""What hosts share besides wires: programs of a lab by which their engines, or whoever routes for them, agree."""

from netfacts.fabric.store import Store

__all__ = ["Store"]
