"""PyPI `canaille` (Python, Authlib) as the company's provider: in memory, with the people and one confidential client. It prints one
line of JSON when it is ready, and runs until it is stopped. The people are those of people.mjs, given as JSON."""

import argparse
import datetime
import json
import logging
import sys

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    """No line for each request."""

    def log_request(self, *_arguments):
        pass


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--people", required=True, help="a JSON list with name, label, email, groups")
    parser.add_argument("--password", required=True)
    parser.add_argument("--client-id", default="gateway")
    parser.add_argument("--client-secret", default="the-secret-of-the-gateway-at-its-provider")
    parser.add_argument("--redirect", action="append", default=[])
    return parser.parse_args()


def settings(host):
    key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
    return {
        "SECRET_KEY": "only for tests",
        "SERVER_NAME": host,
        "PREFERRED_URL_SCHEME": "http",
        # Its pages set their cookie on plain loopback.
        "SESSION_COOKIE_SECURE": False,
        "CANAILLE": {"DATABASE": "memory", "ENABLE_PASSWORD_COMPROMISSION_CHECK": False, "LOGGING": None},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)], "REQUIRE_NONCE": True},
    }


def set_up(args):
    """The people, their groups, and the client."""
    store = Backend.instance
    users = {}
    for person in json.loads(args.people):
        users[person["name"]] = (person, models.User(
            user_name=person["name"],
            password=args.password,
            formatted_name=person["label"],
            family_name=person["label"].split()[-1],
            emails=[person["email"]],
        ))
        store.save(users[person["name"]][1])
    for name in sorted({group for person, _ in users.values() for group in person["groups"]}):
        members = [user for person, user in users.values() if name in person["groups"]]
        store.save(models.Group(display_name=name, members=members))
    now = datetime.datetime.now(datetime.timezone.utc)
    client = models.Client(
        client_id=args.client_id,
        client_secret=args.client_secret,
        client_name="The gateway",
        client_id_issued_at=now,
        redirect_uris=args.redirect,
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        scope=["openid", "profile", "email", "groups", "offline_access"],
        token_endpoint_auth_method="client_secret_basic",
    )
    store.save(client)
    # Otherwise its ID tokens are for nobody.
    client.audience = [client]
    store.save(client)


def main():
    args = arguments()
    logging.disable(logging.WARNING)
    host = f"localhost:{args.port}"
    app = create_app(config=settings(host))
    with app.app_context(), Backend.instance.session():
        set_up(args)
    server = make_server("127.0.0.1", args.port, app, threaded=True, request_handler=Quiet)
    print(json.dumps({"issuer": f"http://{host}", "origin": f"http://{host}"}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
