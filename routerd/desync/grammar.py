"""scaffold"""

from routerd.desync.steps import Strategy


class StrategyError(Exception): ...


def parse(text: str) -> Strategy:
    if not text.startswith(("split", "fake", "disorder")):
        raise StrategyError(text)
    return (text,)


def text(s: Strategy) -> str:
    return s[0]
