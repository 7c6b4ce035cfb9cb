"""A legacy session on PyPI `mcp` that still works after its server and its token were replaced.

Opens a session and calls a tool. Prints `waiting`, and on SIGUSR2 lets its token count as expired, so that the SDK refreshes
it, and calls again. Prints its findings on standard output as one line of JSON; exit code 0 when both calls passed.
"""

import json
import signal
import ssl
import sys

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from oauth import AutomaticUser, MemoryStorage, oauth_provider

# Timeout of the whole run, in seconds.
DEADLINE = 60


async def session(url: str) -> dict:
    storage = MemoryStorage()
    user = AutomaticUser(lambda _step: None, "carol", None, ssl.create_default_context())
    auth = oauth_provider(url, user, storage, None, False)
    ids = []

    async def note(request) -> None:
        sent = request.headers.get("mcp-session-id")
        if sent and sent not in ids:
            ids.append(sent)

    async with httpx2.AsyncClient(auth=auth, event_hooks={"request": [note]}, timeout=DEADLINE) as http:
        async with Client(streamable_http_client(url, http_client=http), mode="legacy") as client:
            calls = [await passes(client)]
            tokens = [storage.tokens.access_token]
            with anyio.open_signal_receiver(signal.SIGUSR2) as signals:
                print("waiting", flush=True)
                await anext(aiter(signals))
            auth.context.token_expiry_time = 1
            calls.append(await passes(client))
            tokens.append(storage.tokens.access_token)
    return {"calls": calls, "sessions": ids, "refreshed": tokens[0] != tokens[1], "subject": storage.identity()["sub"]}


async def passes(client: Client) -> bool:
    return not (await client.call_tool("list_tasks", {})).is_error


async def bounded(url: str) -> dict:
    with anyio.fail_after(DEADLINE):
        return await session(url)


if __name__ == "__main__":
    print(json.dumps(anyio.run(bounded, sys.argv[1])))
