"""The steps of the client to get a token, read from its own requests: each step of the discovery by name."""

from urllib.parse import urlsplit


class Recorder:
    """Collects steps; `observe` is a response hook of the HTTP client. `alter` receives each refusal with 403 before the
    client does."""

    def __init__(self, target: str, alter):
        self._target = target
        self._alter = alter
        self.steps: list[str] = []

    def record(self, step: str) -> None:
        self.steps.append(step)

    async def observe(self, response) -> None:
        step = self._step(response.request, response.status_code)
        if step:
            self.steps.append(step)
        if step == "step_up":
            self._alter(response)

    def _step(self, request, status: int) -> str | None:
        url = str(request.url)
        path = urlsplit(url).path
        suffix = "" if status < 400 else f":{status}"
        if url == self._target:
            return {401: "challenge", 403: "step_up"}.get(status)
        if "/.well-known/oauth-protected-resource" in path:
            return f"resource_metadata{suffix}"
        if "/.well-known/" in path:
            return f"server_metadata{suffix}"
        if request.method != "POST":
            return None
        is_json = request.headers.get("content-type", "").startswith("application/json")
        if is_json:
            return f"registration{suffix}"
        is_refresh = b"grant_type=refresh_token" in request.content
        return f"{'refresh' if is_refresh else 'token'}{suffix}"
