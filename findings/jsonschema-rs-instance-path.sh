#!/bin/sh
# jsonschema-rs 0.61.2 (Python): `instance_path` of an error is not the path of the value for two kinds of property names.
#
# - An empty name is missing: for {"a": {"": 1}} with a string expected at "", the path is ["a"], which is the object around
#   the value. RFC 6901 has a pointer for it: "/a/".
# - A name of digits in an object comes back as an integer, as if it were an index: for {"a": {"0": 1}} the path is ["a", 0].
#
# evtool restores both from the message of the error (evtool/schemas/explain/engine_errors.py).
#
# A tool that follows the path to show the position of the error points at another value, or finds none. `jsonschema` 4.26.0 gives
# ["a", ""] and ["a", "0"] for the same input.
#
# Seen: "jsonschema-rs: ['a'] ['a', 0]" and "jsonschema: ['a', ''] ['a', '0']". The script fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check jsonschema-rs==0.61.2 jsonschema==4.26.0
"$folder/venv/bin/python" - >"$folder/out" <<'PY'
import jsonschema
import jsonschema_rs

SCHEMA = {"properties": {"a": {"additionalProperties": {"type": "string"}}}}
INSTANCES = ({"a": {"": 1}}, {"a": {"0": 1}})
fast, plain = jsonschema_rs.validator_for(SCHEMA), jsonschema.Draft202012Validator(SCHEMA)
print("jsonschema-rs:", *(list(next(fast.iter_errors(instance)).instance_path) for instance in INSTANCES))
print("jsonschema:", *(list(next(plain.iter_errors(instance)).absolute_path) for instance in INSTANCES))
PY
cat "$folder/out"
[ "$(cat "$folder/out")" = "jsonschema-rs: ['a'] ['a', 0]
jsonschema: ['a', ''] ['a', '0']" ]
