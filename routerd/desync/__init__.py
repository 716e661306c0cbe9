"""Packet-level desync: a flow's first packets, sent so that a censor does not know them. docs/desync.md."""
