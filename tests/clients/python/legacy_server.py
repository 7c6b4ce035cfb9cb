"""An MCP server of the legacy era with sessions: PyPI `mcp` at /mcp. `GET /sessions` says how many are open, and how many ever were.

The SDK speaks the modern era as well. What says so in a request is left out, so that it is served as by earlier versions of the SDK.
"""

import argparse

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class Legacy:
    """Leaves out the version header of the modern era, and remembers the ids of sessions."""

    def __init__(self, app):
        self.app = app
        self.opened = set()

    async def __call__(self, scope, receive, send):
        def is_kept(name, value):
            return name != b"mcp-protocol-version" or value.decode() in HANDSHAKE_PROTOCOL_VERSIONS

        async def sending(message):
            for name, value in message.get("headers", []):
                if name.lower() == b"mcp-session-id":
                    self.opened.add(value)
            await send(message)

        headers = scope.get("headers", [])
        scope["headers"] = [header for header in headers if is_kept(*header)]
        await self.app(scope, receive, sending)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    server = MCPServer("legacy")

    @server.custom_route("/sessions", methods=["GET"])
    async def sessions(_: Request) -> Response:
        # The only place where the SDK has them.
        open_now = server.session_manager._server_instances
        return JSONResponse({"open": len(open_now), "opened": len(legacy.opened)})

    legacy = Legacy(server.streamable_http_app())
    uvicorn.run(legacy, host="127.0.0.1", port=port, log_level="info")


if __name__ == "__main__":
    main()
