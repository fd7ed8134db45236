"""The floor of any HTTP server here: the web server of `datlake serve` around an application that does nothing."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, MutableMapping

import uvicorn

Message = MutableMapping[str, object]

ANSWER = b'{"run_id":"' + b"0" * 36 + b'","state":"' + b"x" * 450 + b'"}'


async def answer(
    _scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Reads the body, answers half a kilobyte."""
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


def main() -> None:
    """Serves on a free port, which it prints, until it is asked to stop."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(answer, lifespan="off", ws="none", log_config=None, access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
