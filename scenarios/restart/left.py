"""What a daemon that is gone has left behind, looked for from outside.

A process that maps a program's file finds the kernel's breakpoint in it, or the instruction that the compiler wrote. The
kernel lists the BPF programs, maps and links that exist, and the packet sockets that are open.
"""

import ctypes
import mmap
import platform
import time

SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
NEXT_ID = {"programs": 11, "maps": 12, "links": 31}
# Programs go when the kernel gets to it.
LOOKS, LOOK_SECONDS = 200, 0.01

libc = ctypes.CDLL(None, use_errno=True)


def breakpoints(path):
    """How many bytes of a file are others when it is mapped."""
    with open(path, "rb") as file:
        written = file.read()
        with mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapped:
            return sum(1 for one, other in zip(written, mapped[:]) if one != other)


def bpf_objects(kind):
    """How many the kernel holds."""
    number, attributes = 0, (ctypes.c_uint32 * 8)()
    while libc.syscall(SYS_BPF, NEXT_ID[kind], attributes, ctypes.sizeof(attributes)) == 0:
        number += 1
        attributes[0], attributes[1] = attributes[1], 0
    return number


def packet_sockets():
    with open("/proc/net/packet", encoding="ascii") as file:
        return len(file.readlines()) - 1


def everything():
    """How much there is of what a daemon makes."""
    return {**{kind: bpf_objects(kind) for kind in NEXT_ID}, "packet_sockets": packet_sockets()}


def beyond(before, kept=None):
    """How much more there is than before, once that has settled at nothing, or at what is kept on purpose."""
    for _ in range(LOOKS):
        more = {kind: now - before[kind] for kind, now in everything().items()}
        if more == kept or not any(more.values()):
            break
        time.sleep(LOOK_SECONDS)
    return more
