"""Capabilities that a process may have, as a container's runtime limits them: by the bounding set."""

import ctypes

PR_CAPBSET_DROP = 24
NUMBERS = {
    "CAP_DAC_READ_SEARCH": 2, "CAP_SETPCAP": 8, "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24, "CAP_PERFMON": 38, "CAP_BPF": 39,
}

libc = ctypes.CDLL(None, use_errno=True)


def confine(capabilities):
    """Leaves this process, which is about to become another program, nothing else to gain."""
    # As bytes: after a chroot there is nothing that decodes.
    with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
        others = set(range(int(file.read()) + 1)) - {NUMBERS[name] for name in capabilities}
    # The right to drop goes last.
    for number in sorted(others, key=lambda number: number == NUMBERS["CAP_SETPCAP"]):
        assert libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0, number
