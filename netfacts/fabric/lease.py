"""Leases: which subnet of a fabric is which host's. They are kept in the store, under keys and in words of Flannel's.

Source: https://github.com/flannel-io/flannel/blob/v0.26.7/Documentation/configuration.md, pkg/subnet/etcd/registry.go
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import msgspec

from netfacts.model.errors import LabError

_SUBNET_BITS = 24


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What a fabric is: its backend, and the network that its hosts' subnets are of."""

    backend: str
    network: IPv4Network

    @property
    def prefix(self) -> str:
        """The key in the store below which all of it is."""
        return f"/netfacts/{self.backend}/network"

    @property
    def key(self) -> str:
        """The key of the configuration itself."""
        return f"{self.prefix}/config"

    @property
    def leases(self) -> str:
        """What the keys of all leases begin with."""
        return f"{self.prefix}/subnets/"

    def encode(self) -> str:
        """Give it as Flannel reads it."""
        said = {"Network": str(self.network), "SubnetLen": _SUBNET_BITS, "Backend": {"Type": self.backend}}
        return msgspec.json.encode(said).decode()

    def subnets(self) -> Iterator[IPv4Network]:
        """Give the subnets that hosts may lease. As with Flannel, the first is nobody's."""
        every = self.network.subnets(new_prefix=_SUBNET_BITS)
        next(every)
        yield from every

    def key_of(self, subnet: IPv4Network) -> str:
        """Give the key of a subnet's lease."""
        return f"{self.leases}{subnet.network_address}-{subnet.prefixlen}"


class _Said(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    public_ip: str = msgspec.field(name="PublicIP")
    backend_type: str
    backend_data: dict[str, str | int] | None = None


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A host's part of a fabric. `address` is the host's own; `data` is what other hosts have to know besides."""

    subnet: IPv4Network
    address: IPv4Address
    backend: str
    data: dict[str, str | int] = {}

    @property
    def gateway(self) -> IPv4Address:
        """The address that the subnet's bridge has."""
        return self.subnet[1]

    def encode(self) -> str:
        """Give its value in the store."""
        said = _Said(public_ip=str(self.address), backend_type=self.backend, backend_data=self.data or None)
        return msgspec.json.encode(said).decode()

    @classmethod
    def decode(cls, key: str, value: str) -> Lease:
        """Read a lease from the store.

        Raises: LabError where it is none.
        """
        try:
            subnet = IPv4Network(key.rpartition("/")[2].replace("-", "/"))
            said = msgspec.json.decode(value, type=_Said)
            address = IPv4Address(said.public_ip)
        except (ValueError, msgspec.DecodeError) as error:
            raise LabError("the store holds what is no lease", where=key, returned=f"{error}\n{value}") from None
        return cls(subnet=subnet, address=address, backend=said.backend_type, data=said.backend_data or {})
