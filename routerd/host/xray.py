"""Runs Xray-core from its PyPI binding as `xray run -c stdin:` would: the configuration comes on standard input.

A program of its own, not imported by anything.
"""

import sys

import xray

if __name__ == "__main__":
    xray.startFromJSON(sys.stdin.read())
