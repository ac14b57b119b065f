"""Validates a custom resource against its CustomResourceDefinition, as the API server would, and more strictly."""

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

SCHEMAS = Path(__file__).parent / "schemas"


@cache
def schema_of(file: str, version: str) -> dict[str, Any]:
    """The schema of one version of the resource that `file` defines; keys that it does not name are wrong."""
    definition = yaml.load(
        gzip.decompress((SCHEMAS / file).read_bytes()), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )
    [found] = [one for one in definition["spec"]["versions"] if one["name"] == version]
    schema: dict[str, Any] = found["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = {"type": "object"}
    refuse_unknown_keys(schema)
    return schema


def refuse_unknown_keys(schema: Any) -> None:
    """The API server drops keys that a schema does not know, without a word; here they are refused."""
    if isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            refuse_unknown_keys(part)
    elif isinstance(schema, list):
        for part in schema:
            refuse_unknown_keys(part)


def problems(manifest: dict[str, Any], file: str, version: str = "v1") -> list[str]:
    validator = jsonschema.Draft202012Validator(schema_of(file, version))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]
