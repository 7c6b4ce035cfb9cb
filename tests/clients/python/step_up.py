"""A client whose token has too few scopes for its second call: the outcome of each call, and the scopes of the token after
it. The caller of the program checks the findings."""

import re
import uuid

from mcp import Client


async def step_up(client: Client, scope) -> dict:
    """Lists, creates, and lists again; `scope()` is that of the token in use. An error ends a call, not the program."""
    title = f"Task {uuid.uuid4()}"
    calls = []
    for tool, arguments in [("list_tasks", {}), ("create_task", {"title": title}), ("list_tasks", {})]:
        calls.append({"tool": tool, **await outcome(client, tool, arguments), "scope": scope()})
    return {"title": title, "calls": calls}


async def outcome(client: Client, tool: str, arguments: dict) -> dict:
    try:
        result = await client.call_tool(tool, arguments)
    except Exception as error:
        return {"passed": False, "error": type(error).__name__, "message": str(error)}
    return {"passed": not result.is_error}


def name_only_missing(response, scope: str | None) -> None:
    """Makes a refusal's challenge name only the scopes that the token lacks."""
    held = (scope or "").split()

    def lacking(match) -> str:
        return f'scope="{" ".join(one for one in match[1].split() if one not in held)}"'

    header = "www-authenticate"
    response.headers[header] = re.sub(r'scope="([^"]*)"', lacking, response.headers[header])
