"""A candidate that could not do what it is for is refused, with the path of what is wrong."""

from typing import Any

import pytest

from serve_app.launcher.configuration.validation import block_problems, system_problems
from tests.serve_app.launcher.blocks import model_block, put, system

ARGS = "applications[1].args"
DEPLOYED = "applications[1].deployments[0]"
KNOB = f"{DEPLOYED}.user_config.candidate"
CLASSIFIER = {"family": "onnx", "weights": "a.onnx", "parameters": {"task": "classifier"}}


def candidate_block(name: str = "next", args: dict[str, Any] | None = None, **candidate: Any) -> dict[str, Any]:
    block = model_block(name, **(args or {}))
    block["deployments"][0]["user_config"] = {"candidate": {"of": "main", **candidate}}
    return block


@pytest.mark.parametrize("given", [{"share": 0}, {"share": 0.25}, {"share": 1}, {"shadow": 0.25}])
def test_a_right_candidate_has_no_problems(given: dict[str, float]) -> None:
    assert system_problems(system(model_block("main"), candidate_block(**given))) == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"share": 1.5}, f"{KNOB}.share: Input should be less than or equal to 1"),
        ({"share": -0.1}, f"{KNOB}.share: Input should be greater than or equal to 0"),
        ({"shadow": 2}, f"{KNOB}.shadow: Input should be less than or equal to 1"),
        ({"shadows": 0.5}, f"{KNOB}.shadows: unknown key; did you mean shadow?"),
        ({"share": 0.1, "shadow": 0.1}, f"{KNOB}: needs share or shadow, and only one of them"),
        ({}, f"{KNOB}: needs share or shadow, and only one of them"),
        ({"of": "man", "share": 0.1}, f"{KNOB}.of: no model is called man; did you mean main?"),
        ({"of": "next", "share": 0.1}, f"{KNOB}.of: a model is no candidate of itself"),
    ],
)
def test_a_wrong_candidate_is_named(given: dict[str, Any], problem: str) -> None:
    [told, *_] = system_problems(system(model_block("main"), candidate_block(**given)))
    assert told.startswith(problem)


def test_a_candidate_of_a_candidate_is_refused() -> None:
    blocks = [model_block("main"), candidate_block(share=0.1), candidate_block("third", of="next", share=0.1)]
    path = "applications[2].deployments[0].user_config.candidate"
    assert system_problems(system(*blocks)) == [f"{path}.of: next is a candidate itself"]


def test_the_shares_of_a_model_are_at_most_all_of_it() -> None:
    def blocks(last: float) -> list[dict[str, Any]]:
        shares = {"a": 0.7, "b": 0.2, "c": last}
        return [model_block("main"), *(candidate_block(name, share=share) for name, share in shares.items())]

    assert system_problems(system(*blocks(0.1))) == []
    path = "applications[3].deployments[0].user_config.candidate.share"
    told = f"{path}: the shares of all candidates of main add up to 1.1, above 1"
    assert system_problems(system(*blocks(0.2))) == [told]


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ({"queues": ["q"]}, f"{ARGS}.queues: a candidate has none; its jobs are those of its model"),
        ({"required": True}, f"{ARGS}.required: a candidate is never required, as its model answers without it"),
        (CLASSIFIER, f"{KNOB}.of: main answers with boxes, and next with class scores"),
    ],
)
def test_a_candidate_has_no_queue_is_not_required_and_answers_as_its_model_does(
    args: dict[str, Any], problem: str
) -> None:
    assert system_problems(system(model_block("main"), candidate_block(args=args, share=0.1))) == [problem]


def test_a_candidate_that_sleeps_would_never_wake() -> None:
    document = system(model_block("main"), candidate_block(share=0.1))
    asleep = put(document, "applications.1.deployments.0.autoscaling_config.min_replicas", 0)
    path = f"{DEPLOYED}.autoscaling_config.min_replicas"
    assert system_problems(asleep) == [f"{path}: a candidate needs at least 1, as its requests do not wake it"]


def test_classifiers_have_a_share_with_the_same_labels_and_no_shadow() -> None:
    def problems(labels: list[str], **given: float) -> list[str]:
        blocks = [model_block("main", **CLASSIFIER, labels=["a", "b"])]
        return system_problems(
            system(*blocks, candidate_block(args={**CLASSIFIER, "labels": labels}, **given)),
        )

    assert problems(["a", "b"], share=0.1) == []
    told = f"{ARGS}.labels: must be those of main, as a classifier's answer has no names"
    assert problems(["b", "a"], share=0.1) == [told]
    assert problems(["a", "b"], shadow=0.1) == [f"{KNOB}.shadow: compares boxes, and main answers with class scores"]


def test_folders_that_may_answer_either_must_say_which() -> None:
    def problems(main: dict[str, Any], next_: dict[str, Any]) -> list[str]:
        folders = [{"family": "huggingface", "weights": "a", "parameters": one} for one in (main, next_)]
        return system_problems(
            system(model_block("main", **folders[0]), candidate_block(args=folders[1], share=0.1)),
        )

    told = "args.parameters.answer: is missing; class-scores or embedding, since a candidate must answer as its model"
    assert [one.partition(" does")[0] for one in problems({}, {})] == [f"applications[1].{told}"]
    scores, vector = {"answer": "class-scores"}, {"answer": "embedding"}
    assert [one.partition(" does")[0] for one in problems({}, scores)] == [f"applications[0].{told}"]
    assert problems(vector, vector) == []
    assert problems(scores, vector) == [f"{KNOB}.of: main answers with class scores, and next with an embedding"]


def test_the_block_of_a_candidate_may_be_checked_without_its_model() -> None:
    assert block_problems(candidate_block(share=0.1)) == []
    [told] = block_problems(candidate_block(share=0.1, args={"queues": ["q"]}))
    assert told.startswith("args.queues: ")
