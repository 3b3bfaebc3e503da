"""The baseline of the collector: the same HTTP stack, which reads each body and answers 200 at once."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def _answer(request: Request) -> Response:
    await request.body()
    return Response(b'{"success":true}', media_type="application/json")


def main(port: int) -> None:
    """Serves until it is stopped."""
    app = Starlette(routes=[Route(path, _answer, methods=["POST"]) for path in ("/v1/batch", "/v1/track")])
    uvicorn.run(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        server_header=False,
        log_level="warning",
        proxy_headers=False,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
