"""Named network namespaces: what `ip netns` knows, and what a new one has."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.model.verdict import Outcome
from netfacts.observe import links, named, output
from netfacts.probe import ask, icmp
from netfacts.topology import Host
from netfacts.verdict import equal, holds, seen

_LOOPBACK = "127.0.0.1"
# Kinds of the stubs that tunnel drivers put into every new namespace.
_STUBS = frozenset(("ipip", "sit", "gre", "gretap", "erspan", "ip6tnl", "ip6gre", "vti", "vti6"))


@pytest.mark.fact("netns.add-list-del")
def test_ip_netns_adds_lists_and_deletes(host: Host, act: Act, claim: Claim) -> None:
    """`ip netns` adds, lists, enters and deletes named namespaces; it does not delete what is not there."""
    hand = host.by_hand
    kept, spare = hand.netns_add("kept"), hand.netns_add("spare")
    names, absent = [kept.label, spare.label], hand.netns("absent")
    own = host.machine.execute(["readlink", "/proc/1/ns/net"]).out

    with act:
        before = named(host.machine)
        entered = [
            host.machine.execute(["ip", "netns", "exec", name, "readlink", "/proc/self/ns/net"]).out for name in names
        ]
        claim.show("ip netns list", output(host.vantage, "ip", "netns", "list"))
        deleted = host.machine.execute(["ip", "netns", "delete", spare.label])
        refused = host.machine.execute(["ip", "netns", "delete", absent.label])
        after = named(host.machine)
        claim.show(f"ip netns delete {spare.label}", deleted.out + deleted.err)
        claim.show(f"ip netns delete {absent.label}, which is not there", refused.out + refused.err)
        claim.show("ip netns list, afterwards", output(host.vantage, "ip", "netns", "list"))

    claim.judge(
        equal("names that are listed", [name for name in names if name in before], names),
        equal("namespaces that ip netns exec enters by them, beside the host's", len({*entered} - {"", own}), 2),
        equal("those listed after the second was deleted", [name for name in names if name in after], names[:1]),
        holds(
            "deleting a name that is not there",
            refused.exit_status != 0,
            refused.err.strip() or f"exit status {refused.exit_status}",
            expected="a refusal",
        ),
    )


@strike("netns.add-list-del", "one of the names is unmounted and unlinked")
def _(stage: Stage) -> None:
    path = stage.host.by_hand.netns("spare").net
    stage.host.vantage.run(f"umount {path}")
    stage.host.vantage.run(f"rm {path}")


@strike("netns.add-list-del", "one of the names is a file that no namespace is mounted on")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"umount {stage.host.by_hand.netns('kept').net}")


@strike("netns.add-list-del", "the host's own namespace lies on one of the names")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"mount --bind /proc/1/ns/net {stage.host.by_hand.netns('kept').net}")


@strike("netns.add-list-del", "something else is mounted on a name, which so can't be deleted")
def _(stage: Stage) -> None:
    path = stage.host.by_hand.netns("spare").net
    stage.host.vantage.run(f"mount --bind {path} {path}")


@strike("netns.add-list-del", "somebody has used the name that is not there")
def _(stage: Stage) -> None:
    stage.host.by_hand.netns_add("absent")


@pytest.mark.fact("netns.docker-not-listed")
@pytest.mark.shared
def test_ip_netns_does_not_list_containers(host: Host, act: Act, claim: Claim) -> None:
    """`ip netns list` does not show the namespaces of containers, whose names the engine keeps in a folder of its own.

    /var/run/netns/space ── named by hand     /var/run/docker/netns/… ── box
    """
    hand = host.by_hand
    box = host.container("box")
    space = hand.netns_add("space")

    with act:
        listed = named(host.machine)
        key = str(box.said["NetworkSettings"]["SandboxKey"])
        (kept,) = host.machine.agent.call("inodes", paths=[key])
        claim.show("ip netns list", output(host.vantage, "ip", "netns", "list"))
        claim.show("docker inspect -f '{{.NetworkSettings.SandboxKey}}' box", key)

    claim.control(holds("a name made by hand", space.label in listed, list(listed), expected=space.label, control=True))
    claim.judge(
        equal("names that are listed for the container's namespace", _names_of(box.netns, listed), []),
        equal(f"namespace at {key}", kept, box.netns, vantage=box.name),
    )


def _names_of(inode: int, listed: dict[str, int]) -> list[str]:
    return [name for name, other in listed.items() if other == inode]


@strike("netns.docker-not-listed", "the container's namespace is linked to where `ip netns` looks")
def _(stage: Stage) -> None:
    stage.host.by_hand.netns_link(stage.container("box").pid)


@strike("netns.docker-not-listed", "the engine's name for the namespace is unmounted")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"umount {stage.container('box').said['NetworkSettings']['SandboxKey']}")


@pytest.mark.fact("netns.lo-down")
def test_new_namespace_has_lo_which_is_down(host: Host, act: Act, claim: Claim) -> None:
    """A new namespace has but lo, which is down; 127.0.0.1 is unreachable there until lo is set up."""
    hand = host.by_hand
    fresh, raised = hand.netns_add("fresh"), hand.netns_add("raised")
    hand.link_set("lo", up=True, within=raised)

    with act:
        without, with_lo = ask(icmp(fresh, _LOOPBACK), icmp(raised, _LOOPBACK))
        found = [link for link in links(fresh) if link.kind not in _STUBS]
        claim.show("ip addr, in a new namespace", output(fresh, "ip", "addr"))
        claim.show("ip addr, in another one after ip link set lo up", output(raised, "ip", "addr"))

    claim.judge(
        equal("its interfaces, and whether they are up", {link.name: link.up for link in found}, {"lo": False}),
        seen(without, Outcome.UNREACHABLE),
        seen(with_lo, Outcome.CONNECTED),
    )


@strike("netns.lo-down", "new namespaces come with lo set up")
def _(stage: Stage) -> None:
    stage.host.by_hand.link_set("lo", up=True, within=stage.host.by_hand.netns("fresh"))


@strike("netns.lo-down", "new namespaces come with a veth pair")
def _(stage: Stage) -> None:
    hand = stage.host.by_hand
    one, _ = hand.link_add("one", "other")
    hand.link_set(one, netns=hand.netns("fresh"))


@strike("netns.lo-down", "lo is not set up in the other namespace")
def _(stage: Stage) -> None:
    stage.host.by_hand.link_set("lo", up=False, within=stage.host.by_hand.netns("raised"))
