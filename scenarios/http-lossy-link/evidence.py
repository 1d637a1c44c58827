#!/usr/bin/env python3
"""What the kernel at this end had to do because the link was bad, as OpenMetrics text on standard output."""


def counters(path):
    """The kernel's counters by group and name: pairs of lines, names above values."""
    with open(path, encoding="ascii") as file:
        lines = [line.split() for line in file]
    return {names[0] + name: int(value)
            for names, values in zip(lines[::2], lines[1::2])
            for name, value in zip(names[1:], values[1:])}


def main():
    kernel = counters("/proc/net/snmp") | counters("/proc/net/netstat")
    for name, key in (
        ("link_segments_retransmitted", "Tcp:RetransSegs"),
        ("link_segments_received_out_of_order", "TcpExt:TCPOFOQueue"),
        ("link_segments_received_twice", "TcpExt:DelayedACKLost"),
    ):
        print(f"# TYPE {name} counter\n{name}_total {kernel[key]}")
    print("# EOF")


if __name__ == "__main__":
    main()
