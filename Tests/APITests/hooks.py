"""Has Schemathesis ask of what there is as well: of names that it draws alone, nearly none is known."""

import json
import os
import zlib

import schemathesis

known = json.loads(os.environ["PUNNET_KNOWN"])


def chosen(value, of):
    """One of the known, by what was drawn; none for a third, which stay as they are."""
    number = zlib.crc32(repr(value).encode())
    return None if number % 3 == 0 else of[number // 3 % len(of)]


@schemathesis.hook
def map_path_parameters(context, parameters):
    if not parameters:
        return parameters
    kind = context.operation.path.removeprefix("/api/v1/").split("/")[0]
    return {name: chosen(value, known[kind]) or value for name, value in parameters.items()}


@schemathesis.hook
def map_body(context, body):
    if not isinstance(body, dict):
        return body
    changed = dict(body)
    for field, of in [("lab", known["labs"]), ("image", known["images"]), ("folder", known["folders"])]:
        if isinstance(body.get(field), str):
            changed[field] = chosen(body[field], of) or body[field]
    return changed
