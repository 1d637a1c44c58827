"""Gives a blocklist for four entries lists that it must refuse, and says what became of the frames meanwhile.

The list that was in force before a refused one stays in force, the daemon says in its log why, and the next good list
takes over.
"""

import sys

from frames import Wire, await_metric, ipv4, metric, print_families, replace

LIST = "/lab/stage/blocklist.txt"
LOG = "/run/lab/log/probed.log"
ETH_IPV4 = b"\x08\x00"
SENDERS = [f"192.0.{number}.1" for number in range(8)]
ROUNDS = 25


def entries(numbers, other=""):
    return "".join(f"192.0.{number}.0/24\n" for number in numbers) + other


def send(wire):
    """Some frames from everybody; which senders' frames do not arrive."""
    before = dict(wire.received)
    for _ in range(ROUNDS):
        for kind, sender in enumerate(SENDERS):
            wire.send(kind, ETH_IPV4 + ipv4(sender, wire.ipv4_address))
        wire.look()
    return {kind for kind in range(len(SENDERS)) if wire.received[kind] == before.get(kind, 0)}


def said(words):
    with open(LOG, encoding="utf-8") as file:
        return sum(words in line for line in file)


def main():
    wire = Wire("lab0", "lab1", "sender", "10.7.0.1", "fd07::1")
    problems = []

    def silent_must_be(expected, when):
        silent = send(wire)
        if silent != set(expected):
            problems.append(f"{when}: frames of {sorted(silent)} did not arrive, should be {sorted(expected)}")

    silent_must_be([0, 1, 2, 3], "with the first list")
    replace(LIST, entries(range(8)))
    await_metric("xdp_blocklist_lists_total", 1, result="refused")
    silent_must_be([0, 1, 2, 3], "with a list that is too long")
    if metric("xdp_blocklist_list_in_force") != 0:
        problems.append("a refused list is said to be in force")
    replace(LIST, entries([4, 5], "192.0.6.1/24\n"))
    await_metric("xdp_blocklist_lists_total", 2, result="refused")
    silent_must_be([0, 1, 2, 3], "with a list that has a fault")
    replace(LIST, entries([4, 5, 6, 7]))
    await_metric("xdp_blocklist_lists_total", 1, result="applied")
    silent_must_be([4, 5, 6, 7], "with as many other entries")
    wire.check()

    missing = {kind: wire.sent[kind] - wire.received[kind] for kind in range(len(SENDERS))}
    labels = (("action", "drop"), ("shadow", "false"))
    print_families({
        "problems": {(): len(problems)},
        "missing_frames": {(): sum(missing.values())},
        "received_frames": {(): wire.received.total()},
        # Entries that are out of force are told of together.
        "listed_entry_packets": {
            (("prefix", "(gone)"), *labels): sum(missing[kind] for kind in range(4)),
            **{(("prefix", f"192.0.{kind}.0/24"), *labels): missing[kind] for kind in range(4, 8)},
        },
        "refusals_in_log": {
            (("why", "too_many"),): said("8 entries are more than maxEntries, which is 4"),
            (("why", "fault"),): said("blocklist.txt:3: 192.0.6.1/24 has bits beyond its length"),
        },
    })
    print(*problems, sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main()
