"""The kernel's switches: written where they differ, passed over where they are not there."""

from routerd.host import sysctl
from tests.golden.cases import plan_of
from tests.host.namespace import alone, household, sh

WANTED = plan_of("direct-on-failure", "open").sysctls


@alone
def test_they_are_written_once_and_then_nothing_differs() -> None:
    household()
    assert sysctl.differing(WANTED)
    assert sysctl.apply(WANTED)
    assert sysctl.differing(WANTED) == []
    assert sysctl.apply(WANTED) == []


@alone
def test_one_that_someone_changed_is_named_and_put_back() -> None:
    household()
    sysctl.apply(WANTED)
    sh("sysctl -qw net.ipv4.conf.eth0.arp_ignore=0")
    assert sysctl.differing(WANTED) == ["net/ipv4/conf/eth0/arp_ignore"]
    assert sysctl.apply(WANTED) == ["net/ipv4/conf/eth0/arp_ignore"]


@alone
def test_a_port_that_is_not_there_is_passed_over() -> None:
    sysctl.apply(WANTED)
    assert sysctl.apply([("net/ipv4/conf/nobody/forwarding", "1")]) == []
