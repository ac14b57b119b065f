"""docs/models.md names every family and every parameter of the generic ones, and its blocks are valid."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from deployments.definition import ModelDefinition
from deployments.families import FAMILIES
from deployments.families.generic.generic_signature import SavedModelParameters
from deployments.serving.tiling.merging import MERGED_BOXES
from deployments.serving.tiling.tiles import MAX_TILES
from serve_app.launcher.configuration.field_docs import field_docs

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]


def rows() -> list[str]:
    """The rows of the table of parameters, from the fields and their docstrings."""
    docs = field_docs(SavedModelParameters)
    return [
        f"| `{name}` | {docs.get(name, '')} | {_values(field)} | {_default(field)} |"
        for name, field in SavedModelParameters.model_fields.items()
    ]


def _values(field: FieldInfo) -> str:
    choices = [choice for part in (field.annotation, *get_args(field.annotation)) for choice in get_args(part)]
    return ", ".join(f"`{choice}`" for choice in dict.fromkeys(choices) if isinstance(choice, str))


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "must be given"
    if value is None:
        return ""
    if isinstance(value, tuple):
        return f"`{value[0]:g}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_the_table_of_parameters_is_that_of_the_code() -> None:
    assert [row for row in re.findall(r"^\| `.*", TEXT, re.M) if row in rows()] == rows()


def test_the_limits_of_tiling_are_those_of_the_code() -> None:
    words = " ".join(TEXT.split())
    assert f"More than {MAX_TILES} pieces, the whole frame among them, are refused" in words
    assert f"The best {MERGED_BOXES:,} boxes of all tiles are merged" in words


def test_every_family_is_named() -> None:
    assert [name for name in FAMILIES if f"`{name}`" not in TEXT] == []


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(block.get("name", block.get("family"))))
def test_the_blocks_are_valid(block: dict[str, object]) -> None:
    from serve_app.launcher.configuration.validation import block_problems

    args = block.get("args", block)
    if "args" in block:
        assert block_problems(block) == []
    definition = ModelDefinition.model_validate(args)
    if definition.family in ("saved-model", "keras", "onnx"):
        assert SavedModelParameters.model_validate(definition.parameters).task in ("detector", "classifier")
