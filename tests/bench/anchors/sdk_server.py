"""An MCP server on PyPI `mcp` that checks tokens itself: stateless, answers in JSON, one tool. What the gateway takes off such a server.

    sdk_server.py PORT KEY_SET
"""

import json
import sys

import jwt
import uvicorn
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer

ISSUER, AUDIENCE = "https://issuer.bench.test", "https://mcp.bench.test/mcp"


class Verifier(TokenVerifier):
    def __init__(self, file):
        keys = json.load(open(file))["keys"]
        self.keys = {key["kid"]: jwt.PyJWK(key) for key in keys}

    async def verify_token(self, token):
        try:
            key = self.keys[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=ISSUER)
        except (KeyError, jwt.PyJWTError):
            return None
        return AccessToken(
            token=token, client_id=claims["client_id"], scopes=claims["scope"].split(), expires_at=claims["exp"],
            resource=AUDIENCE, subject=claims["sub"], claims=claims,
        )


def main():
    port, keys = int(sys.argv[1]), sys.argv[2]
    auth = AuthSettings(issuer_url=ISSUER, resource_server_url=AUDIENCE, required_scopes=["mcp:tools"])
    server = MCPServer("bench", auth=auth, token_verifier=Verifier(keys), log_level="ERROR")

    @server.tool()
    def echo(text: str) -> str:
        return text

    app = server.streamable_http_app(json_response=True, stateless_http=True)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
