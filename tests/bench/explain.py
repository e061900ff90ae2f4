"""What stands in docs/performance.md beside figures: what they mean, how they were had, why one misses its target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.bench.rows import Row, text

WHY: dict[str, str] = {
    "events/dmsfw": (
        "of an event's time about a fifth is Docker's list, a fifth the making of the new rules through "
        "python-iptables, a quarter the reading and comparing of four tables, and a quarter the two commits, each of "
        "which reads its table again twice. The first minute of this run was disturbed by other work on the machine."
    ),
    "events/loop ratio": "the script's time is what its dozen programs take to start; for dmsfw's see above.",
    "events/called ratio": "as with the loop.",
    "passes/commits recreated": (
        "a network that is replaced within one pass both closes and opens in nat, which goes ahead of filter when it "
        "opens and behind it when it closes: two commits, so that no packet leaves un-translated in between. Docker "
        "announces the end and the new beginning apart, so two passes with one commit each are the rule."
    ),
    "memory/1": (
        "bare Python takes 9 MB of it; requests, urllib3 and ssl, which docker-py brings, 17 MB. Speaking to Docker's "
        "socket without docker-py would take most of that away."
    ),
    "memory/50": "as with one network; the networks themselves take about 20 KB each.",
    "idle/cpu": (
        "three quarters of it is the look at the tables, once a second, for it compares the content of each table of "
        "up to 1,000 entries; a sixth is Docker's list every 5 s. Looking at contents less often than at sizes would "
        "bring it below."
    ),
}
"""By row: why a target is missed, and what it would take. Only missed ones are printed."""

ALTERNATIVES = """\
The shell script is our own: it asks Docker for the network, its id and its subnet and calls `iptables` six
times, as the script of the field case does, and is given the right WAN device. It runs from a loop over `docker
events`, or is called when `docker network create` returns; the field case's ran only when the firewall started,
and then every network that Compose made anew stayed shut (see *first connections refused* below). The static
rule is a `config rule` of the firewall with `src '*'`, `src_ip 172.16.0.0/12`, `dest 'wan'`, `dest_port '465'`.
Each cell is a connection that was tried in the lab; what is not as wanted is in bold.
"""

STATIC = """\
**The static rule** is there before any network is, so no event can be served faster, and it needs no program at
all. Where it is enough, use it. What dmsfw has over it:

- *only that network*: the static rule opens the port to every container in 172.16.0.0/12, asked or not;
- *any address pool*: a network with a subnet of its own, or one that Docker takes from 192.168.0.0/16 when its
  first pools are used up, stays shut;
- *IPv6*: the rule names no subnet there;
- *translation* where the WAN zone has none: packets leave with a private address, and no answer comes.
"""

METHOD = """\
All of it runs in the lab of the end-to-end tests: a router in namespaces with a recorded firewall3 ruleset, a
real Docker Engine with Compose, a provider with a mail server, and a stand-in for `ubus`, which dmsfw calls as
on a router. Nothing is stamped by dmsfw itself.

- *Event -> rules*: an independent listener on Docker's event stream starts the clock when it has read the
  event, asks the kernel for the tables' sizes (`IPT_SO_GET_INFO`) about every 0.1 ms, and stops it when filter
  names the bridge and nat the subnet. dmsfw and the script are measured by turns in the same lab.
- *Recreations*: Compose makes network and container, whose first act is to connect; a SYN that was sent twice
  shows in the counters of its own network namespace.
- *Passes* are `reconcile`, decision and enforcement, on the kernel's tables, with networks given as values;
  foreign rules are a chain of addresses that FORWARD calls. Commits are counted in a trace of the system calls.
- *Lock*: from flock(2) to its release. *Start*: from the fork of the interpreter to "in sync" in the status
  file.
- *LAN traffic*: one established UDP flow of the smallest frames. The way through the router runs inside the
  sender's system call, so packets are counted for each second of the sender's time on a processor. The sizes
  take turns, the bare tables twice a round: their difference is the noise.
- *Memory growth*: the daemon's own loop on a clock that runs as fast as the passes do, with Docker read each
  time.
- *firewall4*: on a router with a recorded ruleset of firewall4's. The clock is stopped by the kernel's announcement of
  the transaction that bears the element, or the jump. Over the reloads four clients in a container connect without a
  pause.
- *Idle*: nanoseconds of all threads (schedstat), ended children included; wake-ups are voluntary context
  switches.
- *explain*: from the fork of the interpreter to its end, for a packet that meets none of the foreign rules.
"""


def meaning(rows: Mapping[str, Row]) -> Iterator[str]:
    """Sentences with the run's figures in them."""
    event, loop, called = rows["events/dmsfw"], rows["events/loop"], rows["events/called"]
    yield (
        f"- A network's rules stand {text(event.p50, 'ms')} (p99 {text(event.p99, 'ms')}) after Docker's event. "
        f"A script takes {text(loop.p50, 'ms')} in a loop and {text(called.p50, 'ms')} when it is called; Docker "
        "itself needs some hundred milliseconds more before a container can send."
    )
    refused, tries = rows["recreations/dmsfw refused"], rows["recreations/dmsfw refused"].note
    other = rows["recreations/loop refused"]
    yield (
        f"- {tries} by Compose: {text(refused.p50)} first connections refused with dmsfw. With the script in a loop "
        f"{text(other.p50)} ({other.note}), with the script at the firewall's start "
        f"{text(rows['recreations/start refused'].p50)} ({rows['recreations/start refused'].note})."
    )
    nothing, many = rows["passes/foreign=1000 nothing"], rows["passes/foreign=10000 nothing"]
    yield (
        f"- A pass that finds all as it should be takes {text(nothing.p50, 'ms')} among 1,000 foreign rules and "
        f"{text(many.p50, 'ms')} among 10,000, and writes nothing."
    )
    bare, most, noise = (rows[f"forwarding/{name}"] for name in ("0 rate", "500 loss", "0 again loss"))
    yield (
        f"- Established LAN traffic ({text(1e6 / bare.p50, 'us')} a packet here) pays {text(most.p50, '%')} for "
        f"500 selected networks, where {text(abs(noise.p50), '%')} is noise: the hook stands behind the "
        "firewall's accept of what is established, so only a connection's first packets walk our chain."
    )
    lock, lockless = rows["healing/locking"], rows["healing/lockless"]
    yield (
        f"- What others wipe is back {text(lock.p50, 'ms')} (p99 {text(lock.p99, 'ms')}) after their end, or after "
        f"{text(lockless.worst, 'ms')} at most when they do not take the lock, which nothing announces."
    )


def static_rule(rows: Mapping[str, Row]) -> Iterator[str]:
    """What dmsfw has over a rule that needs no daemon."""
    yield from STATIC.splitlines()
    wanted = [rows[f"rivals/{number} dmsfw"].p50 for number in range(5)]
    static = [rows[f"rivals/{number} static"].p50 for number in range(1, 5)]
    if all(wanted) and not any(static):
        yield from ["", "Each of the four is in the table above, as it was seen."]
