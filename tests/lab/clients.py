"""A plain client: the real engine with a SOCKS port on a household device: a server works without the product."""

import contextlib
from collections.abc import Iterator

from .lab import Lab
from .net import Host, wait_until
from .recipe import Json
from .servers import Server, engine_config, run_engine
from .topology import RESOLVERS4

SOCKS_PORT = 1080


def _socks(engine: str) -> Json:
    if engine == "xray":
        return {"listen": "127.0.0.1", "port": SOCKS_PORT, "protocol": "socks", "settings": {"udp": True}}
    return {"type": "socks", "listen": "127.0.0.1", "listen_port": SOCKS_PORT}


@contextlib.contextmanager
def plain_client(lab: Lab, server: Server, to: str | None = None, client: Host | None = None) -> Iterator[str]:
    """The engine runs on `client` (the phone); gives the proxy's URL for curl. `to`: host part, default the v4 address.

    WireGuard is spoken by sing-box's own implementation. UDP goes through SOCKS too.
    """
    host = client or lab.phone
    engine = "xray" if server.recipe.engine == "xray" else "sing-box"
    address = to or server.address4
    outbounds = [server.recipe.client(address), *server.recipe.client_behind(address)]
    config = engine_config(engine, [_socks(engine)], outbounds, RESOLVERS4[0])
    child = run_engine(host, engine, config, f"client-{server.name}")
    try:
        wait_until(lambda: host.listens("tcp", SOCKS_PORT), 10, f"client listens; see {host.directory}")
        yield f"socks5h://127.0.0.1:{SOCKS_PORT}"
    finally:
        child.kill()
        child.wait(5)
