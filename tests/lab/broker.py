"""A small snowflake broker: a client's offer goes to the next volunteer that asks, and the answer back (doc/broker-spec.txt).

The messages are those of snowflake 2.5.1 (common/messages): the client's 1.0, the volunteer's 1.3.
"""

import json
import queue
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

POLL, PATIENCE = 5.0, 20.0  # seconds that a volunteer's question, and a client's, stays open
VERSION = "1.0"


@dataclass(slots=True)
class Offer:
    text: str
    answer: queue.Queue[str] = field(default_factory=queue.Queue)


@dataclass(slots=True)
class Broker:
    """`given`: the offers that volunteers have, by the volunteer's session. One request, one thread."""

    waiting: queue.Queue[Offer] = field(default_factory=queue.Queue)
    given: dict[str, Offer] = field(default_factory=dict)

    def client(self, path: str, headers: Message, body: bytes) -> tuple[int, bytes]:
        """For those who come through the front."""
        version, _, text = body.decode().partition("\n")
        if path != "/client" or version != VERSION:
            return 400, b""
        offer = Offer(json.loads(text)["offer"])
        self.waiting.put(offer)
        try:
            return 200, json.dumps({"answer": offer.answer.get(timeout=PATIENCE)}).encode()
        except queue.Empty:
            return 200, json.dumps({"error": "no snowflake proxies currently available"}).encode()

    def volunteer(self, path: str, headers: Message, body: bytes) -> tuple[int, bytes]:
        """For those who carry."""
        asked: dict[str, Any] = json.loads(body)
        if path == "/proxy":
            return 200, json.dumps(self._offered(asked["Sid"])).encode()
        if path == "/answer" and (offer := self.given.pop(asked["Sid"], None)):
            offer.answer.put(asked["Answer"])
            return 200, json.dumps({"Status": "success"}).encode()
        return 200, json.dumps({"Status": "client gone"}).encode()

    def _offered(self, session: str) -> dict[str, str]:
        try:
            offer = self.given[session] = self.waiting.get(timeout=POLL)
        except queue.Empty:
            return {"Status": "no match"}
        return {"Status": "client match", "Offer": offer.text, "NAT": "unknown", "RelayURL": ""}
