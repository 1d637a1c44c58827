"""Puts known numbers of frames of every kind on the wire and says how a filter that wants TCP must count them.

What must become of a frame stands beside it; nothing here reads frames. Each kind is sent another number of times, so
that no two can be taken for each other. The frames are for a station that is not there, so that nobody answers. A
second opinion comes from the kernel: how many frames it says the probe's interface has received.

    generator.py --interface lab1 --received-by lab0
"""

import argparse
import collections
import socket
import struct
import time

ETH_P_ALL = 3
HEADER_BYTES = 14
TAG_BYTES = 4
NOWHERE = b"\x02\0\0\0\0\x02"
SENDER = b"\x02\0\0\0\0\x01"

TCP, UDP, ICMP, IGMP, SCTP, GRE, ESP, OSPF, ICMPV6 = 6, 17, 1, 2, 132, 47, 50, 89, 58
NAMES = {TCP: "tcp", UDP: "udp", ICMP: "icmp", IGMP: "igmp", SCTP: "sctp", GRE: "gre", ESP: "esp",
         OSPF: "other_ip", ICMPV6: "icmpv6"}
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
MORE_FRAGMENTS, SECOND_PART = 0x2000, 185
SEGMENT = struct.pack("!HHIIBBHHH", 4000, 80, 1, 1, 5 << 4, 0x18, 1000, 0, 0) + b"hello"
BODY = b"\x12\x34\x56\x78" * 6


def ethernet(protocol, payload, tags=()):
    frame = NOWHERE + SENDER
    for tag in tags:
        frame += struct.pack("!HH", tag, 7)
    return frame + struct.pack("!H", protocol) + payload


def ipv4(protocol, payload, words=5, fragment=0, total_bytes=None, tags=()):
    total_bytes = words * 4 + len(payload) if total_bytes is None else total_bytes
    header = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, total_bytes, 1, fragment, 64, protocol, 0,
                         b"\x0a\x63\0\x01", b"\x0a\x63\0\x02")
    return ethernet(0x0800, header + b"\1" * (words * 4 - 20) + payload, tags)


def ipv6(kinds, payload, tags=(), fragment=0):
    """`kinds` are the extension headers and, last, the protocol."""
    body = b""
    for kind, following in zip(kinds, kinds[1:]):
        if kind == FRAGMENT:
            body += struct.pack("!BBHI", following, 0, fragment, 1)
        elif kind == AUTHENTICATION:
            body += struct.pack("!BB", following, 4) + bytes(22)
        else:
            body += struct.pack("!BB", following, 1) + bytes(14)
    header = struct.pack("!IHBB", 6 << 28, len(body) + len(payload), kinds[0], 64)
    return ethernet(0x86DD, header + bytes(15) + b"\1" + bytes(15) + b"\2" + body + payload, tags)


def kinds():
    """Frame, verdict, protocol, reason."""
    def passed(frame):
        return frame, "passed", "tcp", "none"

    def discarded(frame, protocol, reason="protocol"):
        return frame, "discarded", protocol, reason

    yield passed(ipv4(TCP, SEGMENT))
    yield passed(ipv4(TCP, SEGMENT, words=15))
    yield passed(ipv4(TCP, SEGMENT + bytes(1200)))
    yield passed(ipv4(TCP, SEGMENT, tags=[0x8100]))
    yield passed(ipv4(TCP, SEGMENT, tags=[0x88A8, 0x8100]))
    yield passed(ipv6([TCP], SEGMENT))
    yield passed(ipv6([HOP_BY_HOP, ROUTING, DESTINATION, AUTHENTICATION, TCP], SEGMENT))
    yield passed(ipv6([FRAGMENT, TCP], SEGMENT))  # all of it in one "fragment"
    yield passed(ipv6([TCP], SEGMENT, tags=[0x8100]))
    for protocol in (UDP, ICMP, IGMP, SCTP, GRE, ESP, OSPF):
        yield discarded(ipv4(protocol, BODY), NAMES[protocol])
    for protocol in (UDP, ICMPV6, ESP):
        yield discarded(ipv6([protocol], BODY), NAMES[protocol])
    yield discarded(ipv6([59], b""), "other_ip")
    yield discarded(ipv4(UDP, BODY, tags=[0x8100]), "udp")
    yield discarded(ipv6([HOP_BY_HOP, UDP], BODY, tags=[0x88A8, 0x8100]), "udp")
    yield discarded(ethernet(0x0806, struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + bytes(20)), "arp")
    yield discarded(ethernet(0x0806, bytes(46), tags=[0x8100]), "arp")
    yield discarded(ethernet(0x88B6, bytes(46)), "not_ip")
    yield discarded(ethernet(46, b"\x42\x42\x03" + bytes(43)), "not_ip")  # 802.3
    yield discarded(ethernet(0x88A8, struct.pack("!HHHHHHH", 7, 0x8100, 7, 0x88B6, 0, 0, 0)), "not_ip")
    for protocol in (TCP, UDP):
        name = NAMES[protocol]
        yield discarded(ipv4(protocol, SEGMENT + BODY, fragment=MORE_FRAGMENTS), name, "fragment")
        yield discarded(ipv4(protocol, BODY, fragment=SECOND_PART), name, "fragment")
        yield discarded(ipv6([FRAGMENT, protocol], SEGMENT + BODY, fragment=1), name, "fragment")
        yield discarded(ipv6([HOP_BY_HOP, FRAGMENT, protocol], BODY, fragment=SECOND_PART << 3), name, "fragment")
    yield discarded(ipv6([DESTINATION] * 7 + [TCP], SEGMENT), "other_ip", "extensions")
    # Cut off in the transport header, in the packet as announced, and in headers before them.
    yield discarded(ipv4(TCP, SEGMENT[:19]), "tcp", "truncated")
    yield discarded(ipv4(UDP, BODY[:7]), "udp", "truncated")
    yield discarded(ipv4(TCP, SEGMENT, total_bytes=500), "tcp", "truncated")
    yield discarded(ipv4(TCP, SEGMENT, total_bytes=30), "tcp", "truncated")
    yield discarded(ipv6([TCP], SEGMENT)[:-6], "tcp", "truncated")
    yield discarded(ipv4(TCP, b"")[:33], "unreadable", "truncated")
    yield discarded(ipv6([TCP], b"")[:53], "unreadable", "truncated")
    yield discarded(ipv6([HOP_BY_HOP, TCP], SEGMENT)[:57], "unreadable", "truncated")
    yield discarded(ethernet(0x0800, b""), "unreadable", "truncated")
    yield discarded(ethernet(0x88A8, struct.pack("!HHH", 7, 0x8100, 7)), "unreadable", "truncated")
    # What an IP version is written under must be what it is.
    yield discarded(ethernet(0x0800, b"\x60" + bytes(60)), "unreadable", "truncated")


def network_bytes(frame):
    """What is left of a frame when the kernel has taken off its header and the outermost tag."""
    is_tagged = frame[12:14] in (b"\x81\x00", b"\x88\xa8")
    return len(frame) - HEADER_BYTES - TAG_BYTES * is_tagged


def received_frames(interface):
    with open(f"/sys/class/net/{interface}/statistics/rx_packets", encoding="ascii") as file:
        return int(file.read())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interface", required=True, help="where frames are sent")
    parser.add_argument("--received-by", required=True, help="the other end, whose counter is read")
    arguments = parser.parse_args()
    packets, lengths = collections.Counter(), collections.Counter()
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.bind((arguments.interface, 0))
    before = received_frames(arguments.received_by)
    for count, (frame, *labels) in enumerate(kinds(), start=3):
        for _ in range(count):
            wire.send(frame)
        packets[tuple(labels)] += count
        lengths[tuple(labels)] += count * network_bytes(frame)
    time.sleep(0.2)
    received = received_frames(arguments.received_by) - before
    for name, counter in (("sent_packets", packets), ("sent_bytes", lengths)):
        print(f"# TYPE {name} counter")
        for (verdict, protocol, reason), value in sorted(counter.items()):
            print(f'{name}_total{{verdict="{verdict}",protocol="{protocol}",reason="{reason}"}} {value}')
    print("# TYPE received_frames counter")
    print(f"received_frames_total {received}")
    print("# EOF")


if __name__ == "__main__":
    main()
