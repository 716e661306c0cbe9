"""Seconds without service, read at a household's client: `python -m bench.failover [--strikes N]`, as root.

The phone begins a new request every 50 ms: a name that nobody asked for before, a TCP connection, a page, checked; one
second is its time-out. It holds ten slow downloads. Then the censor strikes, at a moment that no probe can foresee.

**Seconds without service** is the larger of two, both from the strike on (`outage.py`):
the longest time between two good answers, less the 50 ms between requests; and the time from the first lost request to
the first good answer to a request begun after the last lost one. A service that comes and goes counts as gone, and a
strike is over only when two seconds of requests were all answered. The strike's moment is taken before it is done.
Where there was no service before (idle, or the line was down) it counts from the first request, or the line's return.
"""
