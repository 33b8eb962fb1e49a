"""The catalogue of facts: TOML files under `facts/`, one per area, read and checked here."""

from netfacts.catalogue.load import Catalogue, load

__all__ = ["Catalogue", "load"]
