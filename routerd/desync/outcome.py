"""What comes of the packets that were seen: verdicts, packets in the place of others, signs. Pure.

Three lists, which the worker takes and empties. Each packet gets one verdict; a flow's failure is told once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from routerd.desync.flow import Ask, Flow, Sign
from routerd.desync.packet import Packet
from routerd.desync.steps import Strategy
from routerd.model import TRIAL_MASK

DROP, ACCEPT = 0, 1
REPEATED = 2  # times that one says the same before that is silence

Choose = Callable[[Ask, float], Strategy | None]  # and the time; None: let nothing out for now


class Outcome:
    """`verdicts`: number, verdict, mark. `mark`: what lets a packet pass, given its own. `alive`: when a server was
    last heard, so that the line works.
    """

    def __init__(self, choose: Choose, mark: Callable[[int], int]) -> None:
        self.verdicts: list[tuple[int, int, int]] = []
        self.packets: list[Packet] = []
        self.signs: list[tuple[Sign, Ask]] = []
        self.alive = float("-inf")
        self.choose = choose
        self._mark = mark

    def strategy(self, flow: Flow, now: float) -> Strategy | None:
        """What is held of a flow has its mark."""
        if flow.ask is None:
            return ()
        flow.ask = Ask(flow.ask.kind, flow.ask.host, flow.ask.address, flow.held[-1].mark & TRIAL_MASK)
        return self.choose(flow.ask, now)

    def answer(self, number: int, mark: int, verdict: int) -> None:
        self.verdicts.append((number, verdict, self._mark(mark)))

    def give(self, flow: Flow, verdict: int) -> None:
        """The same to all that is held of a flow."""
        for each in flow.held:
            self.answer(each.number, each.mark, verdict)
        flow.held.clear()

    def send(self, packets: Sequence[Packet]) -> None:
        self.packets += packets

    def heard(self, ask: Ask) -> None:
        self.signs.append(("heard", ask))

    def failed(self, flow: Flow, sign: Sign) -> None:
        if flow.ask is not None and not flow.told:
            flow.told = True
            self.signs.append((sign, flow.ask))
