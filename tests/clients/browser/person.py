#!/usr/bin/env python3
"""A person at a browser: opens an authorization URL, signs in, answers the consent page, and ends at the client's redirect URI.

    person.py URL [--user NAME] [--password TEXT] [--answer allow|deny] [--until PREFIX]

It behaves as browsers do: it keeps cookies (a Secure one never over plain HTTP, as Safari and HTTP libraries), follows redirects,
submits forms with their hidden fields and the button that was pressed. It stops before a URL that begins with PREFIX and prints
that URL. Without PREFIX it requests the redirect URI, as a browser does, so that a client that listens there gets its answer.
Standard library only: clients that open a browser can start it in the place of one.
"""

import argparse
import sys
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

# Limits: pages and redirects of one sign-in, seconds for each.
MAX_STEPS = 12
DEADLINE = 10


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

    def __init__(self, user: str, password: str, answer: str):
        self.user, self.password, self.answer = user, password, answer
        self.opener = build_opener(HTTPCookieProcessor(CookieJar()), NoRedirect)
        self.has_signed_in = False

    def request(self, url: str, form: dict | None = None):
        """Status, headers and text of the answer."""
        body = None if form is None else urlencode(form).encode()
        headers = {"Accept": "text/html", "Accept-Language": "en"}
        if form is not None:
            origin = urlsplit(url)
            headers["Origin"] = f"{origin.scheme}://{origin.netloc}"
            headers["Sec-Fetch-Site"] = "same-origin"
        try:
            answer = self.opener.open(Request(url, data=body, headers=headers), timeout=DEADLINE)
        except HTTPError as error:
            answer = error
        return answer.status, answer.headers, answer.read().decode("utf-8", "replace")

    def filled(self, form: dict) -> dict | None:
        """The fields of a form as this person sends it; none where there is nothing to do."""
        fields = dict(form["fields"])
        secret = [name for name, kind in form["types"].items() if kind == "password"]
        if secret:
            if self.has_signed_in:
                sys.exit("person: the sign-in page came twice: wrong name or password")
            self.has_signed_in = True
            visible = [name for name, kind in form["types"].items() if kind in ("text", "email")]
            fields[visible[0]], fields[secret[0]] = self.user, self.password
            return fields
        pressed = [button for button in form["buttons"] if button[1] == self.answer]
        if pressed:
            fields[pressed[0][0]] = pressed[0][1]
            return fields
        return None

    def sign_in(self, url: str, until: str | None) -> str:
        """Goes from the authorization URL to the redirect URI; returns that."""
        own = urlsplit(url)
        form = None
        for _ in range(MAX_STEPS):
            status, headers, page = self.request(url, form)
            form = None
            location = headers.get("Location")
            if location:
                url = urljoin(url, location)
                target = urlsplit(url)
                if until is not None and url.startswith(until):
                    return url
                if (target.scheme, target.netloc) != (own.scheme, own.netloc):
                    if until is None and target.scheme in ("http", "https"):
                        self.request(url)
                    return url
                continue
            for found in Forms(page).forms:
                form = self.filled(found)
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
    parser.add_argument("--until", help="stop before a URL that begins like this")
    options = parser.parse_args()
    person = Person(options.user, options.password, options.answer)
    print(person.sign_in(options.url, options.until))


if __name__ == "__main__":
    main()
