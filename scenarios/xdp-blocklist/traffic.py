"""Sends frames of known kinds past a blocklist, in driver mode and in generic mode, changes the list meanwhile, and
says what became of them.

Two sources of truth that do not know each other: what the list means is worked out here from its text, with Python's own
prefixes; what happened is what arrived at the receiver, at its UDP sockets, or back at the sender.
"""

import collections
import ipaddress
import sys
import time

from frames import ICMPV6, TCP, UDP, Wire, await_metric, ipv4, ipv6, print_families, replace

LIST = "/lab/stage/blocklist.txt"
MANIFEST_ENTRIES = "198.51.100.0/24 drop\n"
OWN = (4242, 4243, 4244, 4245)  # kinds that are watched one by one
ETH_IPV4, ETH_IPV6, ETH_ARP = b"\x08\x00", b"\x86\xdd", b"\x08\x06"
TAG, SERVICE_TAG = b"\x81\x00\x00\x07", b"\x88\xa8\x00\x07"


class List:
    """What a list means."""

    def __init__(self, text):
        self.entries = {}
        for line in text.splitlines():
            words = line.split("#")[0].split()
            if words:
                action = next((word for word in words[1:] if word in ("drop", "tx", "pass")), "drop")
                self.entries[ipaddress.ip_network(words[0])] = action, "shadow" in words

    def find(self, address):
        """The longest prefix that holds an address, with its action and whether it only counts."""
        address = ipaddress.ip_address(address)
        holding = [net for net in self.entries if net.version == address.version and address in net]
        if not holding:
            return None
        longest = max(holding, key=lambda net: net.prefixlen)
        return str(longest), *self.entries[longest]

    def fate(self, address, reason="no_match"):
        """What becomes of a frame from there, why, and by which entry."""
        found = self.find(address)
        if not found:
            return "pass", reason, None
        _, action, shadow = found
        return ("pass", "shadow", found) if shadow else (action, "entry", found)


class Truth:
    """What must have been counted."""

    def __init__(self):
        self.families = collections.defaultdict(collections.Counter)

    def add(self, wire, fate, count, frame_bytes):
        verdict, reason, entry = fate
        labels = (("interface", wire.near), ("verdict", verdict))
        self.families["listed_packets"][labels] += count
        self.families["listed_bytes"][labels] += count * frame_bytes
        if reason:
            self.families["listed_reasons"][(("interface", wire.near), ("reason", reason))] += count
        if entry:
            prefix, action, shadow = entry
            labels = (("interface", wire.near), ("prefix", prefix), ("action", action),
                      ("shadow", str(shadow).lower()))
            self.families["listed_entry_packets"][labels] += count
            self.families["listed_entry_bytes"][labels] += count * frame_bytes

    def move_to_gone(self, wire, entry):
        """What was counted for an entry is told together with that of others once it is out of force."""
        prefix, action, shadow = entry
        for name in ("listed_entry_packets", "listed_entry_bytes"):
            samples = self.families[name]
            labels = dict(interface=wire.near, prefix=prefix, action=action, shadow=str(shadow).lower())
            count = samples.pop(tuple(labels.items()))
            labels["prefix"] = "(gone)"
            samples[tuple(labels.items())] += count


def addresses():
    """Senders on every side of every prefix."""
    return [
        "192.0.1.255", "192.0.2.0", "192.0.2.127", "192.0.2.128", "192.0.2.129", "192.0.2.130", "192.0.3.0",
        "198.51.99.255", "198.51.100.0", "198.51.100.255", "203.0.113.1", "203.0.113.7", "100.63.255.255",
        "100.64.0.1", "100.127.255.255", "10.99.0.1", "2001:db7::1", "2001:db8::1", "2001:db8:1::1",
        "2001:db8:2::1", "2001:db8:3::1", "2001:db9::1",
    ]


def shapes(wire, listed):
    """Frame without link-layer addresses, its fate, and whether a UDP socket would take it."""
    def ip(source, **options):
        return ETH_IPV4 + ipv4(source, wire.ipv4_address, **options)

    def ip6(source, **options):
        return ETH_IPV6 + ipv6(source, wire.ipv6_address, **options)

    for address in addresses():
        yield (ip6 if ":" in address else ip)(address), listed.fate(address), True
    for address in ("192.0.2.1", "192.0.3.1", "100.64.0.1"):
        fate = listed.fate(address)
        yield ip(address, words=15), fate, True
        yield ip(address, protocol=TCP, payload=b"\0" * 20), fate, False
        yield ip(address, fragment=0x2000), fate, False
        yield ip(address, fragment=185), fate, False
        yield TAG + ip(address), fate, False
        yield SERVICE_TAG + TAG + ip(address), fate, False
        yield SERVICE_TAG + TAG + TAG + ip(address), ("pass", "tags", None), False
        for length in (2, 3, 12, 20, 21):
            yield ip(address)[:length], ("pass", "truncated", None), False
        yield ip(address)[:22], fate, False
        yield (TAG + ip(address))[:25], ("pass", "truncated", None), False
        yield ETH_ARP + b"\0\1\x08\0\6\4\0\1" + bytes(6) + ipaddress.ip_address(address).packed + bytes(10), \
            ("pass", "arp", None), False
        yield ETH_IPV6 + ip(address)[2:], ("pass", "malformed", None), False
        yield b"\x88\xb6" + ip(address), ("pass", "not_ip", None), False
    for address in ("2001:db8::1", "2001:db9::1"):
        fate = listed.fate(address)
        yield TAG + ip6(address), fate, False
        yield ip6(address, next_header=0, payload=bytes([UDP]) + bytes(15)), fate, False
        yield ip6(address, next_header=44, payload=bytes([UDP]) + b"\0\5\xc8" + bytes(12)), fate, False
        yield ip6(address, next_header=59, payload=b""), fate, False
        yield ip6(address)[:41], ("pass", "truncated", None), False
    discovery = b"\x87\0\0\0" + bytes(20)
    yield ip6("fe80::1", next_header=ICMPV6, hops=255, payload=discovery), ("pass", "neighbour_discovery", None), False
    yield ip6("fe80::1", next_header=ICMPV6, hops=254, payload=discovery), listed.fate("fe80::1"), False


def send_shapes(wires, listed, truth):
    for wire in wires:
        for kind, (frame, fate, is_datagram) in enumerate(shapes(wire, listed)):
            count = 2 + kind % 5
            if is_datagram:
                wire.datagram_kinds.add(kind)
            for _ in range(count):
                wire.send(kind, frame)
            wire.look()
            truth.add(wire, fate, count, wire.bytes[kind])
        # A frame to all stations has no sender that an answer could bear.
        wire.send_to(b"\xff" * 6, 4000, ETH_IPV4 + ipv4("100.64.0.1", wire.ipv4_address))
        wire.look()
        truth.add(wire, ("drop", "tx_group", listed.find("100.64.0.1")), 1, wire.bytes[4000])


def send_while_it_changes(wires, text, listed, truth):
    """While their senders send, one entry comes, another one goes, and two are there for two seconds only."""
    new, old, brief, nested = OWN
    senders = {new: "10.50.0.1", old: "192.0.2.129", brief: "10.60.0.1", nested: "10.51.1.1"}

    def send():
        for wire in wires:
            for kind, address in senders.items():
                wire.send(kind, ETH_IPV4 + ipv4(address, wire.ipv4_address))
            wire.look()
        time.sleep(0.03)

    before = len(listed.entries)
    send()
    text = text.replace("192.0.2.129      drop\n", "") + "10.50.0.0/16\n"
    replace(LIST, text + "10.60.0.0/16 ttl=2\n10.51.1.0/24 pass ttl=2\n")
    await_metric("xdp_blocklist_entries", len(wires) * (before + 2), send)
    await_metric("xdp_blocklist_entries", len(wires) * before, send)
    send()

    later = List(MANIFEST_ENTRIES + text)
    for wire in wires:
        wire.datagram_kinds.update(senders)
        truth.move_to_gone(wire, listed.find(senders[old]))
        for kind, of_passed, of_lost in (
            (new, None, later.find(senders[new])),
            (old, later.find(senders[old]), ("(gone)", "drop", False)),
            (brief, None, ("(gone)", "drop", False)),
            (nested, ("(gone)", "pass", False), later.find(senders[nested])),
        ):
            truth.add(wire, ("pass", None, of_passed), wire.received[kind], wire.bytes[kind])
            truth.add(wire, ("drop", None, of_lost), wire.sent[kind] - wire.received[kind], wire.bytes[kind])


def observe(wires, truth):
    for wire in wires:
        wire.check()
        labels = (("interface", wire.near),)
        truth.families["received_frames"][labels] = wire.received.total()
        truth.families["bounced_frames"][labels] = wire.bounced.total()
        truth.families["missing_frames"][labels] = \
            wire.sent.total() - wire.received.total() - wire.bounced.total()
        truth.families["socket_datagrams"][labels] = wire.datagrams_received
        truth.families["tapped_datagrams"][labels] = sum(wire.received[kind] for kind in wire.datagram_kinds)


def main():
    with open(LIST, encoding="ascii") as file:
        text = file.read()
    listed = List(MANIFEST_ENTRIES + text)
    wires = [Wire("lab0", "lab1", "sender", "10.7.0.1", "fd07::1"),
             Wire("lab2", "lab3", "sender", "10.8.0.1", "fd08::1")]
    truth = Truth()
    send_shapes(wires, listed, truth)
    send_while_it_changes(wires, text, listed, truth)
    observe(wires, truth)
    print_families(truth.families)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
