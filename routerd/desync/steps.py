"""scaffold"""

Strategy = tuple[str, ...]
