"""A websocket server that says what it is told (serve), and a client that sees whether it does (talk URL)."""

import asyncio
import os
import ssl
import sys

import websockets


async def echo(socket, path):
    await socket.send(f"{path} {socket.request_headers['X-Forwarded-Proto']}")
    async for message in socket:
        if message == "bye":
            await socket.close(4001, "as you wish")
            return
        await socket.send(message)


async def serve():
    server = await websockets.serve(echo, "127.0.0.1", 0, max_size=1 << 24)
    host, port = server.sockets[0].getsockname()
    print(f"{host}:{port}", flush=True)
    await asyncio.Future()


async def talk(url):
    context = None
    if url.startswith("wss"):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    async with websockets.connect(url, ssl=context, max_size=1 << 24, open_timeout=20) as socket:
        proto = "https" if context else "http"
        assert await socket.recv() == f"/chat?a=b {proto}"
        # Longer than any buffer on the way; as text, as bytes, and in pieces.
        for message in ["short", "é" * 100_000, os.urandom(5_000_000), b""]:
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send(["in ", "three ", "pieces"])
        assert await socket.recv() == "in three pieces"
        await asyncio.wait_for(await socket.ping(), 20)
        await socket.send("bye")
        await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (4001, "as you wish"), socket.close_code
    # And one that the client closes.
    async with websockets.connect(url, ssl=context) as socket:
        await socket.recv()
    assert socket.close_code == 1000, socket.close_code
    print("all is well")


asyncio.run(serve() if sys.argv[1] == "serve" else talk(sys.argv[2]))
