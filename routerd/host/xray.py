"""Runs Xray-core from its PyPI binding as `xray run -c stdin:` would: the configuration comes on standard input.

A program of its own, not imported by anything. This Xray knows only the roots that are built in; SSL_CERT_FILE is
honoured here, as the other engines and our probes do by themselves.
"""

import json
import os
import sys
from typing import Any

import xray


def trusting(config: dict[str, Any], roots: str) -> dict[str, Any]:
    """The configuration with `roots` (a PEM file) trusted for each TLS outbound, beside the built-in ones."""
    for outbound in config["outbounds"]:
        tls = outbound.get("streamSettings", {}).get("tlsSettings")
        if tls is not None:
            tls.setdefault("certificates", []).append({"usage": "verify", "certificateFile": roots})
    return config


if __name__ == "__main__":
    text = sys.stdin.read()
    if roots := os.environ.get("SSL_CERT_FILE"):
        text = json.dumps(trusting(json.loads(text), roots))
    xray.startFromJSON(text)
