"""Reads one YAML file, strictly.

PyYAML silently lets the last of two equal keys win; here every duplicate key is refused with its line. `ruamel.yaml`
refuses them by itself, but stops at the first one, and would be a second YAML library beside the one that Ray brings.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from serve_app.launcher.console import LaunchError

_MERGE_TAG = "tag:yaml.org,2002:merge"

MAX_DEPTH = 64
"""Lists and mappings within each other in a text of a stranger."""

_BEGINNINGS = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
_ENDS = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)


def read_yaml(path: Path) -> Any:
    """The content of the YAML file `path`, which must hold one document.

    Raises LaunchError with file and line when the file is missing, is not YAML or repeats a key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LaunchError(f"{path}: cannot be read: {error}") from error
    return yaml_in(text, str(path))


def yaml_in(text: str, where: str) -> Any:
    """The content of the one YAML document in `text`. Raises LaunchError that begins with `where`."""
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise LaunchError(f"{where}: {_one_line(error)}") from error
    try:
        root = loader.get_single_node()
        if root is None:
            raise LaunchError(f"{where}: is empty")
        duplicates = [f"{where} line {line}: duplicate key {key!r}" for key, line in _duplicate_keys(root, set())]
        if duplicates:
            raise LaunchError(duplicates)
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise LaunchError(f"{where}: {_one_line(error)}") from error
    finally:
        loader.dispose()


def refuse_bombs(text: str, where: str) -> None:
    """Raises LaunchError, which begins with `where`, for a YAML text that names a part of itself again, by which a
    few lines may stand for a document of any size, and for one so nested that PyYAML would read it for a minute."""
    depth = 0
    try:
        for token in yaml.scan(text, yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):
                raise LaunchError(f"{where} has YAML aliases (*name), which are not read over HTTP; write them out")
            depth += isinstance(token, _BEGINNINGS) - isinstance(token, _ENDS)
            if depth > MAX_DEPTH:
                raise LaunchError(f"{where} is nested too deeply, in more than {MAX_DEPTH} levels")
    except yaml.YAMLError:
        return  # which `yaml_in` tells


def without_anchors(document: Any) -> Any:
    """`document` without the top-level `x-` keys, which exist only to hold YAML anchors."""
    if not isinstance(document, dict):
        return document
    return {key: value for key, value in document.items() if not str(key).startswith("x-")}


def _duplicate_keys(node: yaml.Node, seen: set[int]) -> Iterator[tuple[str, int]]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _duplicate_keys(item, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if key.tag != _MERGE_TAG and isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    yield key.value, key.start_mark.line + 1
                keys.add(key.value)
            yield from _duplicate_keys(value, seen)


def _one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())
