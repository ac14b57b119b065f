"""What candidates have done is told in a line for each, from the metrics of all doors."""

from serve_app.launcher.candidate_report import candidate_report, has_candidates

METRICS = """
# TYPE fathom_candidate_requests_total counter
fathom_candidate_requests_total{application="api",candidate="next",model="main",outcome="answered",revision="2"} 30.0
fathom_candidate_requests_total{application="b",candidate="next",model="main",outcome="answered",revision="2"} 12.0
fathom_candidate_requests_total{application="api",candidate="next",model="main",outcome="passed-on",revision="2"} 3.0
fathom_shadow_images_total{application="api",candidate="other",model="main",outcome="same",revision="7"} 10.0
fathom_shadow_images_total{application="api",candidate="other",model="main",outcome="differing",revision="7"} 2.0
fathom_shadow_images_total{application="bridge",candidate="other",model="main",outcome="dropped",revision="7"} 5.0
fathom_shadow_boxes_total{application="api",candidate="other",found_by="both",model="main",revision="7"} 40.0
fathom_shadow_boxes_total{application="api",candidate="other",found_by="model",model="main",revision="7"} 1.0
fathom_shadow_boxes_total{application="api",candidate="other",found_by="candidate",model="main",revision="7"} 4.0
fathom_shadow_score_difference_total{application="api",candidate="other",model="main",revision="7"} 0.5
fathom_requests_total{application="main",model="main",outcome="ok"} 99.0
"""


def test_the_doors_are_added_up() -> None:
    assert candidate_report(METRICS).splitlines() == [
        "next (revision 2), share of main: 42 answered, 3 passed on to main",
        "other (revision 7), shadow of main: 12 compared, 2 differ, 0 failed, 5 dropped; boxes: 40 in both, "
        "1 only in main, 4 only in other; mean difference of scores: 0.013",
    ]


def test_without_candidates_there_is_nothing_to_tell() -> None:
    assert candidate_report("") == ""
    config = {"deployments": [{"name": "Model", "user_config": {"score_threshold": 0.3}}]}
    details = {"applications": {"main": {"deployed_app_config": config}, "gone": {"deployed_app_config": None}}}
    assert not has_candidates(details)
    config["deployments"][0]["user_config"] = {"candidate": {"of": "main", "share": 0.1}}
    assert has_candidates(details)
