#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden files, schemas and docs/feed.md agree with each other."""
import copy
import json
import pathlib
import re
import sys
import unittest

import jsonschema

ROOT = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else ".")
TYPES = ["detection", "track", "alert", "health", "spectrum", "audit"]
Validator = jsonschema.Draft202012Validator


def schema_of(name):
    return json.loads((ROOT / "docs/schema" / f"{name}.schema.json").read_text())


def golden_of(name):
    """All golden files of a type: {file name: object}."""
    files = sorted((ROOT / "tests/data/golden").glob(f"{name}*.json"))
    return {f.name: json.loads(f.read_text()) for f in files}


def strict(schema):
    """The schema, but no key that it does not name."""
    if isinstance(schema, list):
        return [strict(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: strict(v) for k, v in schema.items()}
    if out.get("type") == "object" and "properties" in out:
        out["additionalProperties"] = False
    return out


def paths(schema, prefix=""):
    """All properties as "a", "a.b", "a[].b"."""
    for key, sub in schema.get("properties", {}).items():
        yield prefix + key
        yield from paths(sub, f"{prefix}{key}.")
        yield from paths(sub.get("items", {}), f"{prefix}{key}[].")


def keys(body, prefix=""):
    for key, value in body.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{key}.")
        for element in value if isinstance(value, list) else []:
            if isinstance(element, dict):
                yield from keys(element, f"{prefix}{key}[].")


class Schemas(unittest.TestCase):
    def test_are_schemas_and_named_alike(self):
        found = sorted(f.name for f in (ROOT / "docs/schema").iterdir())
        self.assertEqual(found, sorted(f"{t}.schema.json" for t in TYPES))
        for t in TYPES:
            s = schema_of(t)
            Validator.check_schema(s)
            version = re.fullmatch(f"{t}/(\\d+\\.\\d+)", s["title"]).group(1)
            self.assertEqual(s["$id"], f"urn:uaswatch:schema:{t}:{version}")
            self.assertIn("MIT", s["$comment"])
            for body in golden_of(t).values():
                self.assertEqual(body["schema"], s["title"])
                self.assertEqual(body["type"], t)

    def test_golden_files_are_valid_and_have_no_other_key(self):
        for t in TYPES:
            self.assertGreaterEqual(len(golden_of(t)), 2)
            for name, body in golden_of(t).items():
                for s in (schema_of(t), strict(schema_of(t))):
                    errors = [e.message for e in Validator(s).iter_errors(body)]
                    self.assertEqual(errors, [], name)

    def test_every_property_occurs_and_in_this_order(self):
        for t in TYPES:
            seen = {k for body in golden_of(t).values() for k in keys(body)}
            self.assertEqual(seen, set(paths(schema_of(t))), t)
            order = list(schema_of(t)["properties"])
            for name, body in golden_of(t).items():
                self.assertEqual(list(body), [k for k in order if k in body], name)

    def test_minimal_is_what_is_required(self):
        for t in TYPES:
            body = golden_of(t)[f"{t}-minimal.json"]
            self.assertEqual(set(body) - set(schema_of(t)["required"]), set(), t)

    def test_schemas_refuse(self):
        for t in TYPES:
            body = golden_of(t)[f"{t}.json"]
            validator = Validator(schema_of(t))
            for key in schema_of(t)["required"]:
                broken = copy.deepcopy(body)
                del broken[key]
                self.assertFalse(validator.is_valid(broken), f"{t} without {key}")
            for key in body:
                for value in (None, "", -1e15):
                    broken = dict(body, **{key: value})
                    self.assertFalse(validator.is_valid(broken), f"{t}: {key} = {value!r}")
            newer = dict(body, schema=f"{t}/1.9", mood="good")
            self.assertTrue(validator.is_valid(newer))
            self.assertFalse(Validator(strict(schema_of(t))).is_valid(newer))


class Page(unittest.TestCase):
    def test_names_every_property(self):
        text = (ROOT / "docs/feed.md").read_text()
        head, types = text.split("## Types", 1)
        sections = dict(zip(TYPES, re.split(r"^### ", types, flags=re.M)[1:]))
        for t in TYPES:
            section = sections[t]
            self.assertTrue(section.startswith(t), t)
            for path in paths(schema_of(t)):
                self.assertTrue(f"| `{path}` |" in section or f"| `{path}` |" in head,
                                f"{t}: {path} is not in docs/feed.md")
            for path in re.findall(r"^\| `([^`]+)` \|", section, flags=re.M):
                self.assertIn(path, set(paths(schema_of(t))), f"{t}: {path} is in no schema")

    def test_examples_are_the_golden_files(self):
        text = (ROOT / "docs/feed.md").read_text()
        for t in TYPES:
            self.assertIn((ROOT / "tests/data/golden" / f"{t}.json").read_text(), text)


if __name__ == "__main__":
    unittest.main()
