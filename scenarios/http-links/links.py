#!/usr/bin/env python3
"""Links other than plain Ethernet: VLANs on a veth pair, one inside the other, and a pair of tun devices, which have no
Ethernet header. Stays, and carries packets between the tun devices.

    links.py --here lab0 --there lab1 --namespace client --ready FILE
"""

import argparse
import fcntl
import os
import select
import struct
import subprocess

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def vlan(namespace, parent, name, number, address):
    place = ["-n", namespace] if namespace else []
    ip(*place, "link", "add", "link", parent, "name", name, "type", "vlan", "id", str(number))
    ip(*place, "address", "add", address, "dev", name)
    ip(*place, "link", "set", name, "up")


def tun(name, *addresses):
    """A tun device in this process's network namespace, by its descriptor."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN | IFF_NO_PI))
    for address in addresses:
        ip("address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
    ip("link", "set", name, "up")
    return descriptor


def carry(ends):
    """Passes every packet on to the other end."""
    while True:
        for end in select.select(ends, [], [])[0]:
            other = ends[0] if end == ends[1] else ends[1]
            try:
                os.write(other, os.read(end, 65536))
            except OSError:
                # What is not IP has no place on a tun device.
                pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("here", "there", "namespace", "ready"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    for namespace, parent, last in (("", arguments.here, 1), (arguments.namespace, arguments.there, 2)):
        vlan(namespace, parent, "outer", 5, f"10.8.5.{last}/24")
        vlan(namespace, "outer", "inner", 7, f"10.8.7.{last}/24")
    here = tun("tun0", "10.8.9.1/24", "fd09::1/64")
    with open(f"/run/netns/{arguments.namespace}", "rb") as namespace:
        os.setns(namespace.fileno(), os.CLONE_NEWNET)
    there = tun("tun1", "10.8.9.2/24", "fd09::2/64")
    with open(arguments.ready, "w", encoding="ascii"):
        pass
    carry((here, there))


if __name__ == "__main__":
    main()
