"""The web page by which the owner runs the box, in its own process without privileges.

Imports nothing of `routerd`: the daemon's API on its Unix socket is the contract.
Nothing that a stranger can see before signing in names the product or its version.
"""
