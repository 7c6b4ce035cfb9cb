"""An MCP server of the transport HTTP+SSE (MCP 2024-11-05): on PyPI `mcp` (`--kind sdk`) or PyPI `fastmcp` (`--kind fastmcp`).

Its event stream is at /sse, and it names /messages/ for messages. Tools: `echo`, and `secret`, which a policy hides.
"""

import argparse


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=["sdk", "fastmcp"], required=True)
    parser.add_argument("--port", type=int, required=True)
    return parser.parse_args()


def echo(message: str) -> str:
    """Returns the message."""
    return f"Echo: {message}"


def secret() -> str:
    """Returns a secret."""
    return "secret"


def sdk(port: int) -> None:
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("sse-sdk")
    server.add_tool(echo)
    server.add_tool(secret)
    server.run(transport="sse", port=port)


def fastmcp(port: int) -> None:
    from fastmcp import FastMCP

    server = FastMCP("sse-fastmcp")
    server.tool(echo)
    server.tool(secret)
    server.run(transport="sse", host="127.0.0.1", port=port, show_banner=False)


if __name__ == "__main__":
    options = arguments()
    {"sdk": sdk, "fastmcp": fastmcp}[options.kind](options.port)
