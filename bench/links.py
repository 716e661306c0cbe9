"""A hundred thousand share links, as lists have them: seconds on one core and megabytes at most, printed.

`python -m bench.links [COUNT]`. Exit status 1 when it takes longer than LIMIT_SECONDS or more than LIMIT_MEGABYTES.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

from routerd.links import Named
from routerd.links.bulk import outcomes

COUNT, LIMIT_SECONDS, LIMIT_MEGABYTES = 100_000, 10.0, 100.0
NAMES = ("🇩🇪 Frankfurt", "🇳🇱 NL-%d", "تهران", "Москва", "香港 IEPL", "[VLESS] @channel | 12.5GB", "us-east")
FINGERPRINTS = ("chrome", "firefox", "safari", "random")


def links(count: int, seed: int = 1) -> Iterator[str]:
    """In the proportions of public lists: mostly VLESS, then VMess, Trojan, Shadowsocks, Hysteria2."""
    draw = random.Random(seed)
    makers = (*[reality] * 2, *[websocket] * 3, *[vmess] * 2, trojan, *[shadowsocks] * 2, hysteria2)
    return (draw.choice(makers)(draw) for _ in range(count))


def uuid(draw: random.Random) -> str:
    return str(UUID(int=draw.getrandbits(128)))


def host(draw: random.Random) -> str:
    if draw.random() < 0.6:
        return ".".join(str(draw.randint(1, 223)) for _ in range(4))
    return f"node{draw.randint(1, 9999)}.example-{draw.randint(1, 99)}.com"


def name(draw: random.Random) -> str:
    return quote(f"{draw.choice(NAMES)} {draw.randint(1, 999)}")


def reality(draw: random.Random) -> str:
    key = urlsafe_b64encode(draw.randbytes(32)).decode().rstrip("=")
    query = f"encryption=none&flow=xtls-rprx-vision&security=reality&sni=www.example.org&fp={draw.choice(FINGERPRINTS)}"
    query += f"&pbk={key}&sid={draw.randbytes(4).hex()}&spx=%2F&type=tcp&headerType=none"
    return f"vless://{uuid(draw)}@{host(draw)}:443?{query}#{name(draw)}"


def websocket(draw: random.Random) -> str:
    front = f"cdn{draw.randint(1, 99)}.example.com"
    path = f"%2F{draw.randbytes(6).hex()}%3Fed%3D2048"
    query = f"encryption=none&security=tls&sni={front}&fp=chrome&type=ws&host={front}&path={path}"
    return f"vless://{uuid(draw)}@{host(draw)}:{draw.choice((443, 2053, 8443))}?{query}#{name(draw)}"


def vmess(draw: random.Random) -> str:
    body = {"v": "2", "ps": f"{draw.choice(NAMES)} {draw.randint(1, 999)}", "add": host(draw), "port": "443"}
    body |= {"aid": "0", "id": uuid(draw), "scy": "auto", "net": "ws", "type": "none", "host": "cdn.example.com"}
    body |= {"path": "/vm", "tls": "tls", "sni": "cdn.example.com", "alpn": "", "fp": "chrome"}
    return "vmess://" + b64encode(json.dumps(body).encode()).decode()


def trojan(draw: random.Random) -> str:
    return f"trojan://{draw.randbytes(12).hex()}@{host(draw)}:443?security=tls&sni=t.example.com&type=tcp#{name(draw)}"


def shadowsocks(draw: random.Random) -> str:
    user = urlsafe_b64encode(b"chacha20-ietf-poly1305:" + draw.randbytes(12).hex().encode()).decode().rstrip("=")
    return f"ss://{user}@{host(draw)}:{draw.randint(1024, 60000)}#{name(draw)}"


def hysteria2(draw: random.Random) -> str:
    query = f"sni=h.example.com&obfs=salamander&obfs-password={draw.randbytes(8).hex()}"
    return f"hysteria2://{draw.randbytes(8).hex()}@{host(draw)}:443,5000-6000?{query}#{name(draw)}"


def read(path: Path) -> None:
    """The child's part: reads the file and tells what it took."""
    text = path.read_text()
    began = time.process_time()
    transports = sum(isinstance(found, Named) for found in outcomes(text))
    seconds = time.process_time() - began
    print(json.dumps({"transports": transports, "seconds": seconds, "megabytes": peak()}))


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    if sys.argv[1:2] == ["--read"]:
        return read(Path(sys.argv[2]))
    count = int(sys.argv[1]) if sys.argv[1:] else COUNT
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.txt"
        path.write_text("\n".join(links(count)) + "\n")
        argv = [sys.executable, "-m", "bench.links", "--read", str(path)]
        found = json.loads(subprocess.run(argv, capture_output=True, check=True, text=True).stdout)
        size = path.stat().st_size / 1e6
    print(f"{count} links ({size:.1f} MB): {found['seconds']:.1f} s of one core, {found['megabytes']:.0f} MB at most")
    print(f"{found['transports']} transports, {count - found['transports']} rejected")
    too_much = found["seconds"] > LIMIT_SECONDS or found["megabytes"] > LIMIT_MEGABYTES
    sys.exit(1 if too_much and count <= COUNT else 0)


if __name__ == "__main__":
    main()
