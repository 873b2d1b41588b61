from __future__ import annotations

import pytest

from weft.server.guard.hosts import HostError, Hosts, is_loopback, parse_host


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("localhost:9338", ("localhost", 9338)),
        ("LocalHost", ("localhost", None)),
        ("[::1]:80", ("[::1]", 80)),
        ("[0:0:0:0:0:0:0:1]", ("[::1]", None)),
        ("a_b-c.example", ("a_b-c.example", None)),
        *((text, None) for text in ("", ":80", "a:0", "a:65536", "a:+1", "a:1:2", "::1", "[::g]", "[", "a b", "a\n")),
        *((text, None) for text in ("a.", "-a", "ü", "a/b", "a?b", "a#b", "a@b", "a,b", "%61", "a:8٠", "x" * 300)),
    ],
)
def test_a_host_is_a_name_and_a_port(text: str, place: tuple[str, int | None] | None) -> None:
    assert parse_host(text) == place


def test_what_is_reached_from_this_machine_alone() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "localhost", "::1", "[::1]", "127.9.9.9", "LOCALHOST"]))
    assert not any(
        map(is_loopback, ["0.0.0.0", "::", "", "192.168.1.5", "localhost.evil.example", "127.1", "10.0.0.1"])
    )


def test_a_server_at_every_address_is_known_by_the_one_that_was_used() -> None:
    hosts = Hosts.of("0.0.0.0", 9338)
    assert hosts.knows("192.168.1.5:9338", "192.168.1.5")
    assert hosts.knows("192.168.1.5:9338", "::ffff:192.168.1.5")
    assert hosts.owns("http://192.168.1.5:9338", "192.168.1.5:9338", "192.168.1.5")
    assert not hosts.knows("192.168.1.5:9338", "192.168.1.6")
    assert not hosts.knows("192.168.1.5:80", "192.168.1.5")
    assert not hosts.knows("evil.example:9338", "192.168.1.5")
    assert not hosts.owns("https://192.168.1.5:9338", "192.168.1.5:9338", "192.168.1.5")
    assert Hosts.of("::", 9338).knows("[fe80::1]:9338", "fe80::1%eth0")
    assert not Hosts.of("127.0.0.1", 9338).knows("192.168.1.5:9338", "192.168.1.5"), "it does not listen there"


def test_at_the_standard_port_names_stand_alone() -> None:
    hosts = Hosts.of("127.0.0.1", 80)
    assert hosts.owns("http://localhost", "localhost")
    assert hosts.owns("http://localhost", "localhost:80")
    assert not Hosts.of("127.0.0.1", 8080).knows("localhost")


def test_its_own_address_is_known_in_every_form_of_it() -> None:
    hosts = Hosts.of("fd00::0:7", 9338)
    assert hosts.knows("[fd00::7]:9338")
    assert hosts.owns("http://[fd00:0::7]:9338", "[fd00::7]:9338")


@pytest.mark.parametrize("name", ["", "*", "*.example.org", "https://", "ftp://a", "a/b", "https://a/", "a b", "//a"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(HostError, match="cannot be a name"):
        Hosts.of("127.0.0.1", 9338, [name])
