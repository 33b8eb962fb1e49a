"""Engines: where they come from, and running one privately in a machine."""

from netfacts.engine.engine import Engine
from netfacts.engine.source import Installation, resolve

__all__ = ["Engine", "Installation", "resolve"]
