"""The command line: `netfacts`."""

from netfacts.cli.main import main

__all__ = ["main"]
