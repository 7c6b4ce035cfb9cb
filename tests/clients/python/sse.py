"""A client on PyPI `mcp` with the transport HTTP+SSE (MCP 2024-11-05): gets a token, lists the tools, calls `echo`, waits, calls again.

Prints its findings on standard output as one line of JSON; exit code 0 when everything worked.
"""

import argparse
import json
import ssl
import sys

import anyio
from mcp import Client
from mcp.client.sse import sse_client

from oauth import AutomaticUser, MemoryStorage, oauth_provider

# Timeout of the whole run, in seconds.
DEADLINE = 60


async def findings_of(url: str, mode: str) -> dict:
    storage = MemoryStorage()
    steps = []
    user = AutomaticUser(steps.append, "carol", None, ssl.create_default_context())
    auth = oauth_provider(url, user, storage, None, False)
    async with Client(sse_client(url, auth=auth), mode=mode) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        echoes = [await echo(client, word) for word in ("hello", "again")]
        version = client.protocol_version
    return {"tools": tools, "echoes": echoes, "protocol_version": version, "subject": storage.identity()["sub"]}


async def echo(client: Client, word: str) -> str:
    result = await client.call_tool("echo", {"message": word})
    return result.content[0].text


async def bounded(url: str, mode: str) -> dict:
    with anyio.fail_after(DEADLINE):
        return await findings_of(url, mode)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the event stream, for example http://localhost:8080/sse")
    parser.add_argument("--mode", choices=["auto", "legacy"], default="auto")
    options = parser.parse_args()
    json.dump(anyio.run(bounded, options.url, options.mode), sys.stdout)
    print()
