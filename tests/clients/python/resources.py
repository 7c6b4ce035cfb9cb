"""A server on PyPI `mcp` with the resources of its arguments, each of which answers with its own URI.

It looks a resource up by `AnyUrl(uri)`, as the SDK's 1.x releases do for every request and servers on later ones do themselves.
Prints its port as one line of JSON.
"""

import json
import socket
import sys

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.resources.types import TextResource
from pydantic import AnyUrl


class Parsing(MCPServer):
    async def read_resource(self, uri, context=None):
        return await super().read_resource(AnyUrl(uri), context)


def main() -> None:
    server = Parsing("resources")
    for uri in sys.argv[1:]:
        server.add_resource(TextResource(uri=str(AnyUrl(uri)), name=uri, text=uri))
    app = server.streamable_http_app(json_response=True, stateless_http=True)
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])


if __name__ == "__main__":
    main()
