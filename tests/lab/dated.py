"""A web site with a clock of its own: `dated ADDRESS CERT KEY SECONDS`, answers with a Date that is so far off.

Prints a line for each request.
"""

import asyncio
import ssl
import sys
import time
from email.utils import formatdate


async def main(address: str, cert: str, key: str, off: float) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        print(address, flush=True)
        date = formatdate(time.time() + off, usegmt=True)
        writer.write(f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, address, 443, ssl=context) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
