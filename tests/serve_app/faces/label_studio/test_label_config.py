"""A labelling configuration: what is found in one, and why another cannot be used."""

import pytest

from deployments.errors import InvalidRequest
from serve_app.faces.label_studio.label_config import MAX_CONTROLS, MAX_DEPTH, MAX_TAGS, read_config
from tests.serve_app.faces.label_studio.asking import BOMB, RECTANGLES, config_of, tag


def test_tags_labels_and_the_place_of_the_image_are_found() -> None:
    [control] = read_config(RECTANGLES, "schema").controls
    assert (control.kind, control.name, control.to_name, control.data_key) == (
        "rectanglelabels",
        "label",
        "image",
        "image",
    )
    assert control.label_for("fixed answer a") == "Fixed answer A"
    assert control.label_for("other") == "B"
    assert control.label_for("something else") is None


def test_what_a_person_says_a_label_stands_for_wins() -> None:
    labels = ['value="Fish" alias="F"', 'value="Shark" predicted_values="fish,Squalus"', 'value=""']
    [control] = read_config(config_of(tag("RectangleLabels", *labels)), "schema").controls
    assert [control.label_for(name) for name in ("Fish", "F", "Squalus", "Shark", "")] == [
        "Shark",
        "F",
        "Shark",
        "Shark",
        None,
    ]


def test_all_tags_of_the_first_image_count_and_others_do_not() -> None:
    config = """<View><Header value="x"/><Image name="a" value="$left"/><Image name="b" value="$right"/>
        <Text name="t" value="$text"/>
        <Choices name="of_text" toName="t"><Choice value="x"/></Choices>
        <BrushLabels name="masks" toName="t,a"><Label value="x"/></BrushLabels>
        <View><RectangleLabels name="boxes" toName="a" model_score_threshold="0.25"/></View>
        <PolygonLabels name="others" toName="b"/>
        <Choices name="kind" toName="a" choice="multiple"/></View>"""
    controls = read_config(config, "schema").controls
    assert [(one.name, one.data_key) for one in controls] == [("masks", "left"), ("boxes", "left"), ("kind", "left")]
    assert [one.score_threshold for one in controls] == [None, 0.25, None]
    assert [one.is_multiple for one in controls] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{BOMB}]><View>&j;</View>", "schema must have no <!DOCTYPE>"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><View/>', "schema must have no <!DOCTYPE>"),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "http://169.254.169.254/">]><x>&e;</x>', "schema must have no <!DOCTYPE>"),
        ("<View>&undeclared;</View>", "schema is not well-formed XML: undefined entity"),
        ("<View>" * (MAX_DEPTH + 1), "deep, which is the limit"),
        ("<View>" * 100_000, "deep, which is the limit"),
        (f"<View>{'<a/>' * MAX_TAGS}</View>", "more than 20000 tags"),
        (f"<View>{'<Choices/>' * (MAX_CONTROLS + 1)}</View>", "more than 50 tags that a model can fill"),
        (f"<View>{'a' * 2**20}</View>", "the limit is 1048576"),
        ("<View><Image name='a'></View>", "not well-formed XML: mismatched tag"),
        ("<View", "not well-formed XML"),
        ("not XML", "not well-formed XML"),
        ("<View>\x00</View>", "not well-formed XML"),
        ("<View>\ud800</View>", "not well-formed XML"),
        ("<a xmlns:b='c'><d:e/></a>", "not well-formed XML: unbound prefix"),
        ("  ", "must be the XML of a labelling configuration"),
        (None, "must be the XML of a labelling configuration, got 'None'"),
        (["<View/>"], "must be the XML of a labelling configuration"),
        ("<View/>", "has no tag that a model can fill: one of RectangleLabels, BrushLabels"),
        (config_of('<RectangleLabels toName="image"/>'), "has no tag that a model can fill"),
        (config_of('<RectangleLabels name="a" toName="elsewhere"/>'), "has no tag that a model can fill"),
        ('<View><Image name="i" value="a.png"/><Choices name="c" toName="i"/></View>', "has no tag that"),
        ('<View><Image name="i" valueList="$a"/><Choices name="c" toName="i"/></View>', "has no tag that"),
        (
            config_of(tag("Choices", model_score_threshold="half")),
            "of 'choices' must be a number",
        ),
        (config_of(tag("Choices", model_score_threshold="1.5")), "must be between 0 and 1, got 1.5"),
    ],
)
def test_a_configuration_that_cannot_be_used_says_why(text: object, reason: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read_config(text, "schema")
    assert reason in raised.value.message
    assert len(raised.value.message) < 1000
