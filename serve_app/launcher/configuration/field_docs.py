"""What the fields of a model of settings mean: the docstrings below them, for the pages that are made of them.

pydantic can keep them itself (`use_attribute_docstrings`), and then every process of the system reads the source of
each such class while it is imported, and first looks where each loaded module lies: a tenth of a second and more.
"""

import ast
import inspect
import textwrap

from pydantic import BaseModel


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """Field -> its docstring as one line, those of base classes included; a field without one is not in it."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if issubclass(one, BaseModel) and one is not BaseModel:
            found |= _own_docs(one)
    return found


def _own_docs(model: type[BaseModel]) -> dict[str, str]:
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    docs: dict[str, str] = {}
    for field, after in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            text = ast.literal_eval(after.value)
            docs[field.target.id] = " ".join(text.split())
    return docs
