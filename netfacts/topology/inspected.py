"""What must be there when an engine is asked about what it has made; a check stands on it."""

from __future__ import annotations

from typing import Annotated

import msgspec

_Port = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{0,5}$")]
_PortKey = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,5}/[a-z]+$")]


class Created(msgspec.Struct):
    """A network or container that was made."""

    Id: Annotated[str, msgspec.Meta(min_length=1)]
    Warnings: list[str] | None = None


class _State(msgspec.Struct):
    Status: str
    ExitCode: int
    Pid: Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class _Endpoint(msgspec.Struct):
    NetworkID: str = ""
    IPAddress: str = ""
    GlobalIPv6Address: str = ""


class _Binding(msgspec.Struct):
    HostIp: str
    HostPort: _Port


class _NetworkSettings(msgspec.Struct):
    Networks: dict[str, _Endpoint]
    Ports: dict[_PortKey, list[_Binding] | None] | None = None


class _HostConfig(msgspec.Struct):
    NetworkMode: str


class InspectedContainer(msgspec.Struct):
    """What must be there of a container for a check to stand on it."""

    Name: Annotated[str, msgspec.Meta(min_length=1)]
    State: _State
    NetworkSettings: _NetworkSettings
    HostConfig: _HostConfig


class _Pool(msgspec.Struct):
    Subnet: str = ""
    Gateway: str = ""


class _Ipam(msgspec.Struct):
    Config: list[_Pool] | None = None


class InspectedNetwork(msgspec.Struct):
    """What must be there of a network."""

    Id: str
    Driver: str
    IPAM: _Ipam | None = None
    Options: dict[str, str] | None = None


class _TaskStatus(msgspec.Struct):
    State: str


class _Attachment(msgspec.Struct):
    Addresses: list[str] | None = None


class Task(msgspec.Struct):
    """What must be there of a service's task."""

    Status: _TaskStatus
    NetworksAttachments: list[_Attachment] | None = None
