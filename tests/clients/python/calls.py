"""Calls on demand, for tests that change something between two calls of one client."""

import json
import sys

import anyio


async def calls(call) -> None:
    """Calls once for each line of standard input, and prints a line of JSON for each outcome; first one to say that it is ready."""
    print(json.dumps({"ready": True}), flush=True)
    while await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
        try:
            await call()
            outcome = {"passed": True}
        except Exception as error:
            outcome = {"passed": False, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(outcome), flush=True)
