"""Measures the targets of the issue in the lab: `python -m bench [--quick]`, as root. Nothing leaves its namespaces.

Speeds are compared, never asserted as such: two ways through the same lab take turns in one run, so that whatever else
the machine does slows both.
"""
