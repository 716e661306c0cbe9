# waitress has no types, and its published stubs are wrong.
# mypy: disable-error-code="import-untyped,misc"
"""The WSGI server: waitress, with limits.

Waitress because one thread does all socket I/O: a request costs a worker only once it is complete,
so slow headers, slow bodies and slow readers never take one. It is pure Python and stays small. An event stream
does hold a worker, which is why `live.py` caps them below THREADS. What waitress lacks is added here: a deadline
for a whole request, a cap on connections for each peer, and our headers on its own error answers.
"""

import time
from collections.abc import Callable
from socket import socket

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher

from webui.gate import BODY_LIMIT, HEADERS

THREADS = 12
REQUEST_SECONDS = 10
IDLE_SECONDS = 20
CONNECTIONS = 200
CONNECTIONS_EACH_PEER = 40


class _PlainError(ErrorTask):
    """Waitress' own refusals (400, 413, 431, 500), with our headers and without its name."""

    def execute(self) -> None:
        error = self.request.error
        body = f"{error.code} {error.reason}\n".encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend([("Content-Type", "text/plain; charset=utf-8"), *HEADERS.items()])
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):
    error_task_class = _PlainError
    partial_since: float | None = None

    def received(self, data: bytes) -> bool:
        result = bool(super().received(data))
        if self.request is None:
            self.partial_since = None
        elif self.partial_since is None:
            self.partial_since = time.time()
        return result

    def is_busy(self) -> bool:
        return bool(self.requests)

    def is_overdue(self, now: float) -> bool:
        if self.partial_since is not None and now - self.partial_since > REQUEST_SECONDS:
            return True
        stuck = bool(self.total_outbufs_len) or not self.is_busy()
        return stuck and now - self.last_activity > IDLE_SECONDS


class _Server(TcpWSGIServer):
    channel_class = _Channel

    def handle_accept(self) -> None:
        channels = _channels(self._map)
        super().handle_accept()
        for newcomer in [each for each in _channels(self._map) if each not in channels]:
            _make_room(newcomer, channels)

    def maintenance(self, now: float) -> None:
        for channel in _channels(self._map):
            if channel.is_overdue(now):
                channel.will_close = True


def _channels(members: object) -> list[_Channel]:
    found = list(members.values()) if isinstance(members, dict) else []
    return [each for each in found if isinstance(each, _Channel) and not each.will_close]


def _make_room(newcomer: _Channel, others: list[_Channel]) -> None:
    """Too many: the one that has waited longest without a request goes, so that a newcomer always gets in."""
    own = [each for each in others if each.addr[0] == newcomer.addr[0]]
    for crowd, most in ((own, CONNECTIONS_EACH_PEER), (others, CONNECTIONS)):
        if len(crowd) >= most:
            idle = [each for each in crowd if not each.is_busy()]
            leaving = min(idle, key=lambda each: each.creation_time) if idle else newcomer
            leaving.will_close = True
            return


def serve(application: Callable[..., object], sockets: list[socket]) -> None:
    """Until SIGTERM or SIGINT raises in the main thread."""
    adjustments = Adjustments(
        threads=THREADS,
        ident=None,
        max_request_header_size=16 * 1024,
        max_request_body_size=BODY_LIMIT,
        inbuf_overflow=2 * BODY_LIMIT,
        outbuf_high_watermark=512 * 1024,
        connection_limit=10_000,  # ours are above, and close the right ones
        cleanup_interval=2,
        channel_timeout=IDLE_SECONDS,
        channel_request_lookahead=1,  # so that a stream learns that its reader has gone
        asyncore_use_poll=True,
        asyncore_loop_timeout=2,
        backlog=256,
    )
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(THREADS)
    members: dict[int, object] = {}
    for each in sockets:
        info = (each.family, each.type, each.proto, each.getsockname())
        _Server(application, members, True, each, dispatcher, adj=adjustments, sockinfo=info, bind_socket=False)
    try:
        wasyncore.loop(timeout=adjustments.asyncore_loop_timeout, map=members, use_poll=True)
    finally:
        dispatcher.shutdown(timeout=1)
        wasyncore.close_all(members)
