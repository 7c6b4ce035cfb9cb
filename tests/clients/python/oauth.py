"""The OAuth side of the Python client: the SDK's provider with everything in memory.

In place of a person with a browser a plain HTTP request goes to the authorization endpoint, whose redirect is caught
before it is followed. Where somebody has to sign in, `browser/person.py` does.
"""

import base64
import json
import ssl
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import anyio
import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError, TokenStorage
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

# Never connected to: the redirect is read from the answer. Identity providers let the port of a loopback vary.
REDIRECT_URL = "http://127.0.0.1:53682/callback"

# Signs in at pages.
PERSON = Path(__file__).parent.parent / "browser" / "person.py"

# Limit of redirects within the identity provider.
MAX_REDIRECTS = 5


class MemoryStorage(TokenStorage):
    """Tokens and the registration, for as long as the program runs."""

    def __init__(self):
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info

    def identity(self):
        """The claims of the access token, read without checking the signature: the server does that."""
        if self.tokens is None:
            return None
        payload = self.tokens.access_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return {name: claims.get(name) for name in ("iss", "sub", "aud", "scope")}

    def scope(self) -> str | None:
        """The scope that the access token carries."""
        token = self.identity()
        return token["scope"] if token else None


class AutomaticUser:
    """Follows the authorization redirect and returns the parameters of the callback."""

    def __init__(self, record, login_hint: str | None, person: str | None, tls: ssl.SSLContext):
        self._record = record
        self._login_hint = login_hint
        self._person = person
        self._tls = tls
        self._callback: dict[str, list[str]] = {}

    async def redirect(self, url: str) -> None:
        if self._login_hint:
            url = f"{url}&{urlencode({'login_hint': self._login_hint})}"
        self._record("authorization")
        if self._person:
            self._callback = await self._sign_in(url)
            return
        async with httpx2.AsyncClient(verify=self._tls) as http:
            for _ in range(MAX_REDIRECTS):
                response = await http.get(url)
                location = response.headers.get("location")
                if location is None:
                    raise OAuthFlowError(f"authorization endpoint: {response.status_code} {response.text}")
                url = urljoin(url, location)
                if url.startswith(REDIRECT_URL):
                    self._callback = parse_qs(urlsplit(url).query)
                    return
        raise OAuthFlowError(f"authorization endpoint: more than {MAX_REDIRECTS} redirects")

    async def _sign_in(self, url: str) -> dict[str, list[str]]:
        name, _, password = self._person.partition(":")
        command = [sys.executable, str(PERSON), url, "--user", name, "--password", password, "--until", REDIRECT_URL]
        ended = await anyio.run_process(command, check=False)
        if ended.returncode != 0:
            raise OAuthFlowError(f"sign-in failed: {ended.stderr.decode()}")
        return parse_qs(urlsplit(ended.stdout.decode().strip()).query)

    async def callback(self) -> AuthorizationCodeResult:
        if "error" in self._callback:
            raise OAuthFlowError(f"authorization refused: {self._callback}")
        first = {name: values[0] for name, values in self._callback.items()}
        return AuthorizationCodeResult(code=first["code"], state=first.get("state"), iss=first.get("iss"))


class SparingProvider(OAuthClientProvider):
    """The SDK's provider, but a step-up that fails ends the call with the server's refusal.

    With `mcp` 2.3 itself the error leaves the call's task and ends the whole client, with all its other calls.
    """

    async def async_auth_flow(self, request):
        flow = super().async_auth_flow(request)
        try:
            outgoing = await anext(flow)
            while True:
                response = yield outgoing
                outgoing = await flow.asend(response)
        except StopAsyncIteration:
            return
        except OAuthFlowError:
            if response.status_code != 403:
                raise
        finally:
            await flow.aclose()


def oauth_provider(
    url: str, user: AutomaticUser, storage: MemoryStorage, client_metadata_url: str | None, sparing: bool
):
    """The SDK's provider, which does discovery, registration and the code flow by itself."""
    metadata = OAuthClientMetadata(
        client_name="Python test client",
        redirect_uris=[REDIRECT_URL],
        token_endpoint_auth_method="none",
    )
    provider = SparingProvider if sparing else OAuthClientProvider
    return provider(
        server_url=url,
        client_metadata=metadata,
        storage=storage,
        redirect_handler=user.redirect,
        callback_handler=user.callback,
        client_metadata_url=client_metadata_url,
    )
