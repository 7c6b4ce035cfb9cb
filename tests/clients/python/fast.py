"""A client on PyPI `fastmcp`, given the URL alone: it registers, opens a browser, listens for the answer, and calls tools.

Prints its findings on standard output as one line of JSON; exit code 0 when everything worked. The browser is `$BROWSER`.
"""

import argparse
import asyncio
import json
import sys
from importlib.metadata import version

from fastmcp import Client

from calls import calls


async def findings_of(url: str, scenario: str) -> dict:
    async with Client(url, auth="oauth") as client:
        if scenario == "calls":
            await calls(lambda: client.call_tool("list_tasks", {}))
            return {}
        tools = await client.list_tools()
        echo = await client.call_tool("secure_echo", {"message": "hello"})
        await client.call_tool("create_task", {"title": "by fastmcp"})
    return {"tools": [tool.name for tool in tools], "echo": echo.structured_content}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the MCP server, for example http://localhost:8080/mcp")
    parser.add_argument("--scenario", choices=["walk", "calls"], default="walk")
    options = parser.parse_args()
    # The scenario `calls` waits for its test.
    deadline = 600 if options.scenario == "calls" else 60
    findings = asyncio.run(asyncio.wait_for(findings_of(options.url, options.scenario), timeout=deadline))
    json.dump({"client": f"fastmcp {version('fastmcp')}", **findings}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
