#!/usr/bin/env python3
"""The far side of a link: a server that accepts, and a router to nowhere.

Listens on one port, for both IP versions and for TCP Fast Open, and greets each connection with one byte. Packets for
the first network behind it are answered with "unreachable"; those for the second vanish.
"""

import socket
import subprocess
import sys

PORT = 7000
TCP_FASTOPEN = 23
ACCEPT_FAST_OPEN = 2


def write(setting, value):
    with open(f"/proc/sys/net/{setting}", "w", encoding="ascii") as file:
        file.write(f"{value}\n")


def ip(arguments):
    subprocess.run(["ip", *arguments.split()], check=True)


def be_a_router():
    write("ipv4/ip_forward", 1)
    write("ipv6/conf/all/forwarding", 1)
    # Every packet gets its answer, also when several come at once.
    write("ipv4/icmp_ratelimit", 0)
    write("ipv6/icmp/ratelimit", 0)
    write("ipv4/tcp_fastopen", ACCEPT_FAST_OPEN)
    ip("route add unreachable 10.9.1.0/24")
    ip("route add blackhole 10.9.2.0/24")
    ip("-6 route add unreachable fd09:1::/64")
    ip("-6 route add blackhole fd09:2::/64")


def greet(connection):
    with connection:
        try:
            connection.sendall(b"x")
            # To close with bytes unread would reset the connection.
            while connection.recv(1):
                pass
        except OSError as error:
            # The client did not wait for the greeting.
            print(f"not greeted: {error}", file=sys.stderr)


def main():
    be_a_router()
    listener = socket.socket(socket.AF_INET6)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 16)
    listener.bind(("::", PORT))
    listener.listen(128)
    while True:
        greet(listener.accept()[0])


main()
