"""Reads a list on standard input as routerd would, with little memory and time: whether it survives is the answer.

A program of its own, not imported by anything: what a stranger wrote is read here first. Prints nothing, or a refusal.
"""

import resource
import sys
from pathlib import Path

MEMORY, SECONDS = 128 << 20, 10

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from routerd.subscriptions import Refusal, read

    try:
        read(sys.stdin.buffer.read().decode("utf-8"))
    except Refusal as e:
        print(e)
