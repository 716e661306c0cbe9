"""Properties have no deadline: a busy machine fails none. How long a link may take is bench/links.py's question."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
