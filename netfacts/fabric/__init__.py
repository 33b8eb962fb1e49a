"""Fabrics: networks that span hosts in the ways of Flannel and Calico, and the store that their hosts share."""

from netfacts.fabric.backend import Backend, Node
from netfacts.fabric.fabric import Fabric
from netfacts.fabric.lease import Config, Lease
from netfacts.fabric.store import Store

__all__ = ["Backend", "Config", "Fabric", "Lease", "Node", "Store"]
