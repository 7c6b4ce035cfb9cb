"""A client on PyPI `mcp` that answers requests: it answers elicitation, sampling and roots of a legacy server while a tool runs.

Takes the URL and an access token. Prints the result of the tool `ask`; exit code 0 when it was not an error.
"""

import sys

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult, Root, TextContent

# Timeout of the whole run, in seconds.
DEADLINE = 60


async def elicited(_context, _params) -> ElicitResult:
    return ElicitResult(action="accept", content={"name": "carol"})


async def sampled(_context, _params) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", model="none", content=TextContent(type="text", text="Paris"))


async def rooted(_context) -> ListRootsResult:
    return ListRootsResult(roots=[Root(uri="file:///home/carol")])


async def answering(url: str, token: str) -> str:
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=DEADLINE) as http:
        async with Client(
            streamable_http_client(url, http_client=http),
            mode="legacy",
            elicitation_callback=elicited,
            sampling_callback=sampled,
            list_roots_callback=rooted,
        ) as client:
            result = await client.call_tool("ask", {})
            if result.is_error:
                raise SystemExit(str(result.content))
            return result.content[0].text


async def bounded(url: str, token: str) -> str:
    with anyio.fail_after(DEADLINE):
        return await answering(url, token)


if __name__ == "__main__":
    print(anyio.run(bounded, *sys.argv[1:3]))
