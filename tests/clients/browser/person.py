#!/usr/bin/env python3
"""A person at a browser: opens an authorization URL, signs in, answers the consent page, and ends at the client's redirect URI.

    person.py URL [--user NAME] [--password TEXT] [--answer allow|deny] [--until PREFIX] [--at ORIGIN ...] [--provider NAME]

It behaves as browsers do: it keeps cookies (a Secure one never over plain HTTP, as Safari and HTTP libraries), follows redirects,
submits forms with their hidden fields and the button that was pressed. It stops before a URL that begins with PREFIX and prints
that URL. It signs in at the origin of URL, or at the origins of --at (PERSON_AT), where that server sends it; asked with which provider, it
chooses NAME (PERSON_PROVIDER). Without PREFIX it requests the redirect URI, as a browser does, so that a client that listens there gets its answer.
Standard library only: clients that open a browser can start it in the place of one.
"""

import argparse
import os
import sys
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

# Limits: pages and redirects of one sign-in, seconds for each on a busy machine.
MAX_STEPS = 30
DEADLINE = 60

# Buttons with which people allow something at a provider.
AGREED = ("accept", "yes")


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Forms(HTMLParser):
    """The forms of a page: target, method, fields, buttons."""

    def __init__(self, page: str):
        super().__init__()
        self.forms = []
        self._form = None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self._form = {
                "action": attributes.get("action", ""),
                "method": attributes.get("method", "get").lower(),
                "fields": {},
                "types": {},
                "buttons": [],
            }
            self.forms.append(self._form)
        elif self._form is not None and attributes.get("name"):
            name, value = attributes["name"], attributes.get("value", "")
            kind = attributes.get("type", "submit" if tag == "button" else "text")
            if kind == "submit":
                self._form["buttons"].append((name, value))
            elif tag == "input":
                self._form["fields"][name] = value
                self._form["types"][name] = kind

    def handle_endtag(self, tag):
        if tag == "form":
            self._form = None


class NoRedirect(HTTPRedirectHandler):
    """Redirects are followed by hand: where they lead is what this program is for."""

    def redirect_request(self, *_):
        return None


class Person:
    """One browser with its cookies, and who sits before it."""

    def __init__(self, options):
        self.user, self.password = options.user, options.password
        # The buttons of our pages that it presses.
        self.pressed = (options.answer, options.provider)
        self.providers = set(options.at)
        self.opener = build_opener(HTTPCookieProcessor(CookieJar()), NoRedirect)
        self.signed_in = set()

    def request(self, url: str, form: dict | None = None):
        """Status, headers and text of the answer."""
        body = None if form is None else urlencode(form).encode()
        headers = {"Accept": "text/html", "Accept-Language": "en"}
        if form is not None:
            headers["Origin"] = origin(url)
            headers["Sec-Fetch-Site"] = "same-origin"
        try:
            answer = self.opener.open(Request(url, data=body, headers=headers), timeout=DEADLINE)
        except HTTPError as error:
            answer = error
        return answer.status, answer.headers, answer.read().decode("utf-8", "replace")

    def filled(self, form: dict, at: str) -> dict | None:
        """The fields of a form at this origin as this person sends it; none where there is nothing to do."""
        fields = dict(form["fields"])
        secret = [name for name, kind in form["types"].items() if kind == "password"]
        visible = [name for name, kind in form["types"].items() if kind in ("text", "email")]
        if secret:
            if at in self.signed_in:
                sys.exit("person: the sign-in page came twice: wrong name or password")
            self.signed_in.add(at)
            fields[secret[0]] = self.password
        # Some providers ask for the name first, on a page of its own.
        for name in visible[:1]:
            fields[name] = self.user
        is_there = at in self.providers
        wanted = AGREED if is_there else self.pressed
        for name, value in form["buttons"]:
            if value in wanted and name not in ("cancel", "deny"):
                return fields | {name: value}
        return fields if secret or visible or is_there else None

    def sign_in(self, url: str, until: str | None) -> str:
        """Goes from the authorization URL to the redirect URI; returns that."""
        own = {origin(url)} | self.providers
        form = None
        for _ in range(MAX_STEPS):
            status, headers, page = self.request(url, form)
            form = None
            location = headers.get("Location")
            if location:
                url = urljoin(url, location)
                if until is not None and url.startswith(until):
                    return url
                if origin(url) not in own:
                    if until is None and urlsplit(url).scheme in ("http", "https"):
                        self.request(url)
                    return url
                continue
            # A form with the wanted button goes before the others of its page.
            wanted = sorted(Forms(page).forms, key=lambda one: not any(value == self.pressed[1] for _, value in one["buttons"]))
            for found in wanted:
                form = self.filled(found, origin(url))
                if form is not None:
                    url = urljoin(url, found["action"])
                    break
            else:
                sys.exit(f"person: nothing to do on this page, status {status}:\n{page[:2000]}")
        sys.exit(f"person: more than {MAX_STEPS} pages")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--user", default="demo_user")
    parser.add_argument("--password", default="demo_password")
    parser.add_argument("--answer", choices=("allow", "deny"), default="allow")
    parser.add_argument("--at", action="append", default=os.environ.get("PERSON_AT", "").split())
    parser.add_argument("--provider", default=os.environ.get("PERSON_PROVIDER"))
    parser.add_argument("--until", help="stop before a URL that begins like this")
    options = parser.parse_args()
    person = Person(options)
    print(person.sign_in(options.url, options.until))


if __name__ == "__main__":
    main()
