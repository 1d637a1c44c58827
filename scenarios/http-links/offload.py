#!/usr/bin/env python3
"""Has an interface's VLAN tags written into the packets instead of beside them. Fails when the kernel will not.

    offload.py INTERFACE
"""

import array
import fcntl
import socket
import struct
import sys

SIOCETHTOOL, ETHTOOL_GFLAGS, ETHTOOL_SFLAGS = 0x8946, 0x25, 0x26
ETH_FLAG_TXVLAN = 1 << 7


def flags(interface, command, value=0):
    request = array.array("I", [command, value])
    address, _ = request.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), address))
    return request[1]


def main():
    interface = sys.argv[1]
    before = flags(interface, ETHTOOL_GFLAGS)
    assert before & ETH_FLAG_TXVLAN, "the tags were never beside the packets"
    flags(interface, ETHTOOL_SFLAGS, before & ~ETH_FLAG_TXVLAN)
    assert not flags(interface, ETHTOOL_GFLAGS) & ETH_FLAG_TXVLAN, "the kernel keeps its tags beside the packets"


if __name__ == "__main__":
    main()
