"""A client on PyPI `mcp`: gets a token, then uses everything the task server offers, or runs the scenario of `step_up` or `calls`.

Prints its findings on standard output as one line of JSON; exit code 0 when everything worked.
"""

import argparse
import json
import logging
import ssl
import sys
import traceback
import uuid
from importlib.metadata import version

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from calls import calls
from oauth import AutomaticUser, MemoryStorage, oauth_provider
from step_up import name_only_missing, step_up
from steps import Recorder

# Timeout of the whole walk, in seconds. The scenario `calls` waits for its test.
DEADLINE = 60
CALLS_DEADLINE = 600

# The SDK's `mode` for each `--mode`; `modern` skips the probe.
MODES = {"modern": "2026-07-28", "auto": "auto", "legacy": "legacy"}

TOOLS = ["create_task", "list_tasks", "secure_echo", "generate_report"]

# Slow enough that the steps are sent one by one.
REPORT = {"steps": 4, "delay_ms": 100}


class Failure(Exception):
    """The server did not do what the walk expects."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="the MCP server, for example http://localhost:8080/mcp")
    parser.add_argument("--mode", choices=MODES, default="auto")
    parser.add_argument("--scenario", choices=["walk", "step-up", "calls"], default="walk")
    parser.add_argument(
        "--challenge",
        choices=["whole", "missing"],
        default="whole",
        help="what a refusal names: all scopes for the call, as the server sends it, or only those that the token lacks",
    )
    parser.add_argument("--sparing", action="store_true", help="a step-up that fails ends the call, not the client")
    parser.add_argument("--login-hint", help="who logs in at the identity provider")
    parser.add_argument("--person", metavar="NAME:PASSWORD", help="who signs in, where there are pages for it")
    parser.add_argument("--client-metadata-url", help="use this client metadata document instead of registering")
    parser.add_argument("--ca", help="PEM file of a certificate authority to trust in addition to the usual ones")
    return parser.parse_args()


async def findings_of(options: argparse.Namespace) -> dict:
    tls = ssl.create_default_context()
    if options.ca:
        tls.load_verify_locations(options.ca)
    storage = MemoryStorage()
    recorder = Recorder(options.url, alteration(options, storage))
    user = AutomaticUser(recorder.record, options.login_hint, options.person, tls)
    auth = oauth_provider(options.url, user, storage, options.client_metadata_url, options.sparing)
    hooks = {"response": [recorder.observe]}
    async with httpx2.AsyncClient(auth=auth, event_hooks=hooks, verify=tls, timeout=DEADLINE) as http:
        transport = streamable_http_client(options.url, http_client=http)
        async with Client(transport, mode=MODES[options.mode]) as client:
            protocol_version = client.protocol_version
            if options.scenario == "step-up":
                seen = await step_up(client, storage.scope)
            elif options.scenario == "calls":
                await calls(lambda: listing(client))
                seen = {}
            else:
                seen = await walk(client, storage)
    auth = {"steps": recorder.steps, "token": storage.identity()}
    return {"protocol_version": protocol_version, "auth": auth, **seen}


def alteration(options: argparse.Namespace, storage: MemoryStorage):
    """The change to a refusal before the SDK receives it."""
    if options.challenge == "missing":
        return lambda response: name_only_missing(response, storage.scope())
    return lambda _response: None


async def walk(client: Client, storage: MemoryStorage) -> dict:
    seen = await use_server(client)
    token = storage.identity()
    expect(seen["subject"] == (token["sub"] if token else "anonymous"), "secure_echo names another subject")
    return seen


async def listing(client: Client) -> dict:
    return content(await client.call_tool("list_tasks", {}))


async def use_server(client: Client) -> dict:
    tools = [tool.name for tool in (await client.list_tools()).tools]
    for tool in TOOLS:
        expect(tool in tools, f"tool {tool} is not listed")

    title = f"Task {uuid.uuid4()}"
    created = content(await client.call_tool("create_task", {"title": title}))
    expect(created["title"] == title, "create_task")
    listed = content(await client.call_tool("list_tasks", {}))
    expect(any(task["title"] == title for task in listed["tasks"]), "list_tasks lacks the new task")
    echo = content(await client.call_tool("secure_echo", {"message": "hello"}))
    expect(echo["message"] == "hello", "secure_echo")

    resource = await client.read_resource("tasks://all")
    text = "\n".join(part.text for part in resource.contents)
    expect(title in text, "tasks://all lacks the new task")
    prompt = await client.get_prompt("prioritize_tasks", {"focus": "urgency"})
    words = "\n".join(message.content.text for message in prompt.messages)
    expect(title in words, "prioritize_tasks lacks the new task")

    progress = 0

    async def count(_progress, _total, _message) -> None:
        nonlocal progress
        progress += 1

    report = content(await client.call_tool("generate_report", REPORT, progress_callback=count))
    expect(progress == REPORT["steps"], f"generate_report: {progress} progress notifications of {REPORT['steps']}")
    return {
        "tools": tools,
        "created": created,
        "listed": len(listed["tasks"]),
        "subject": echo["subject"],
        "resource": text,
        "prompt": words,
        "progress": progress,
        "report": report,
    }


def content(result) -> dict:
    """The structured content of a tool result, which must not be an error."""
    expect(not result.is_error, f"tool error: {result.content}")
    expect(result.structured_content, f"no structured content: {result.content}")
    return result.structured_content


def expect(condition, message: str) -> None:
    if not condition:
        raise Failure(message)


async def bounded(options: argparse.Namespace) -> dict:
    with anyio.fail_after(CALLS_DEADLINE if options.scenario == "calls" else DEADLINE):
        return await findings_of(options)


def root_causes(error: BaseException):
    """The errors inside nested task groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from root_causes(inner)
    else:
        yield error


def main() -> int:
    options = arguments()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    try:
        findings = anyio.run(bounded, options)
    except Exception as error:
        traceback.print_exc()
        for cause in root_causes(error):
            print(f"python: {type(cause).__name__}: {cause}", file=sys.stderr)
        return 1
    name = f"python mcp {version('mcp')}"
    print(json.dumps({"client": name, "mode": options.mode, **findings}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
