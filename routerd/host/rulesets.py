"""The two tables in the kernel: loads what the plan says, reads it back, and knows when another program was there."""

from __future__ import annotations

from routerd.host.nft import Nft, NftError, OwnedTable, outline
from routerd.model import Plan
from routerd.render.guard import GUARD
from routerd.render.policy import POLICY


class Rulesets:
    """Raises NftError when the kernel or the parser refuses; what stood before stays in force then."""

    def __init__(self) -> None:
        self._nft = Nft()
        self._guard = OwnedTable(GUARD)
        self._read_back: tuple[str, str] | None = None  # None: another program was faster than our look

    @property
    def locked(self) -> bool:
        """Whether no other program can flush the guard table."""
        return self._guard.locked

    async def load_guard(self, plan: Plan) -> None:
        """Never rewritten while it is as it should be; locked where the kernel can."""
        if outline(self._nft.listing(GUARD)) != outline(plan.guard):
            self._guard.load(self._nft, plan.guard)
        elif not self._guard.locked:
            self._guard.adopt()
        if outline(self._nft.listing(GUARD)) != outline(plan.guard):
            raise NftError("the guard table was not what we loaded when read back")

    async def load_policy(self, plan: Plan) -> None:
        self._nft.run(plan.policy + plan.switch)
        self._remember(plan.policy + plan.switch, plan.guard)
        if self._read_back is None:
            raise NftError("the ruleset was not what we loaded when read back")

    def switch(self, before: Plan, plan: Plan) -> None:
        """The choice alone, at once. Where it needs an exit that is not there yet, the whole policy follows."""
        if all(launch in before.launches for launch in plan.launches):
            self._nft.run(plan.switch)
            self._remember(before.policy + plan.switch, before.guard)

    def tampered(self) -> bool:
        return (self._nft.listing(POLICY), self._nft.listing(GUARD)) != self._read_back

    def _remember(self, policy: str, guard: str) -> None:
        """Only what is as it should be: a table that was flushed since would else pass for unchanged, and stay so."""
        found = (self._nft.listing(POLICY), self._nft.listing(GUARD))
        same = (outline(found[0]), outline(found[1])) == (outline(policy), outline(guard))
        self._read_back = found if same else None
