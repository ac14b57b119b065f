"""What is said of a definition that does not fit, in one wording for all families."""

from typing import Any

import pytest
from pydantic import Field, model_validator

from deployments.definition import ModelDefinition, Settings
from deployments.errors import ModelUnavailable
from deployments.families.shared.definition_checks import (
    NoParameters,
    check_canvas,
    checked_labels,
    needed_weights,
    read_parameters,
)


class Parameters(Settings):
    depth: int = Field(default=1, ge=1)
    name: str

    @model_validator(mode="after")
    def _fits(self) -> "Parameters":
        if self.name == "deep" and self.depth < 9:
            raise ValueError("deep needs a depth of 9")
        return self


def definition(**parameters: Any) -> ModelDefinition:
    return ModelDefinition(family="some", parameters=parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "parameters.name of family 'some': Field required; known: depth, name"),
        (
            {"name": "a", "depht": 1},
            "parameters.depht of family 'some': Extra inputs are not permitted; known: depth, name",
        ),
        (
            {"name": "a", "depth": 0},
            "parameters.depth of family 'some': Input should be greater than or equal to 1, got 0"
            "; known: depth, name",
        ),
        ({"name": "deep"}, "parameters of family 'some': deep needs a depth of 9; known: depth, name"),
    ],
)
def test_wrong_parameters_are_named_with_the_known_ones(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        read_parameters(definition(**parameters), Parameters)
    assert caught.value.message == message


def test_right_parameters_have_their_type() -> None:
    assert read_parameters(definition(name="a", depth=3), Parameters) == Parameters(name="a", depth=3)
    assert read_parameters(definition(), NoParameters) == NoParameters()


def test_declared_labels_win_and_their_number_counts() -> None:
    assert checked_labels("x.pt", None, ("a", "b"), 2) == ("a", "b")
    assert checked_labels("x.pt", ("c", "d"), ("a", "b"), 2) == ("c", "d")
    with pytest.raises(ModelUnavailable, match=r"x\.pt has 2 classes, but the definition names 1 labels"):
        checked_labels("x.pt", ("c",), ("a", "b"), 2)
    with pytest.raises(ModelUnavailable, match=r"needs `labels` or a file; it has 2 classes"):
        checked_labels("x.pt", None, None, 2, " or a file")


def test_a_canvas_is_a_multiple_of_the_stride() -> None:
    check_canvas((64, 96), 32, "x.pt")
    for canvas_px in ((60, 96), (0, 96), (-32, 32)):
        with pytest.raises(ModelUnavailable, match=r"multiples of 32, the largest stride of x\.pt; the nearest are"):
            check_canvas(canvas_px, 32, "x.pt")


def test_weights_may_be_needed() -> None:
    with pytest.raises(ModelUnavailable, match="family 'some' needs `weights`, the path of a checkpoint"):
        needed_weights(definition(), "a checkpoint")
