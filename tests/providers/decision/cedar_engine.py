"""A question as Cedar's engine takes it: a principal, an action, a resource, a context, and entities with their attributes."""

import json

import cedarpy


def decider(path):
    """A function that decides by the policies of this file."""
    policies = path.read_text()

    def decide(question):
        subject, resource = question["subject"], question["resource"]
        user, thing = entity("User", subject["id"]), entity("Thing", resource["id"])
        entities = [
            {"uid": user, "attrs": cleaned(subject.get("properties", {})), "parents": []},
            {"uid": thing, "attrs": {"kind": resource["type"], **cleaned(resource.get("properties", {}))}, "parents": []},
        ]
        request = {
            "principal": written(user),
            "action": written(entity("Action", question["action"]["name"])),
            "resource": written(thing),
            "context": cleaned(question.get("context") or {}),
        }
        return cedarpy.is_authorized(request, policies, entities).allowed

    return decide


def entity(kind, name):
    return {"type": kind, "id": name}


def written(uid):
    """The form of an entity in a request: its id is a string of Cedar, which escapes as JSON does."""
    return f"{uid['type']}::{json.dumps(uid['id'])}"


def cleaned(value):
    """Cedar has neither null nor fractions: what is one is left out."""
    if isinstance(value, dict):
        return {key: cleaned(one) for key, one in value.items() if one is not None and not isinstance(one, float)}
    if isinstance(value, list):
        return [cleaned(one) for one in value if one is not None and not isinstance(one, float)]
    return value
