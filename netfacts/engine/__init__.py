"""Engines: where they come from, and running one privately in a machine."""

from netfacts.engine.engine import Ended, Engine
from netfacts.engine.source import KINDS, Installation, resolve

__all__ = ["KINDS", "Ended", "Engine", "Installation", "resolve"]
