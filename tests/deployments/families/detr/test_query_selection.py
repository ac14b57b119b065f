"""Where the first stage of RF-DETR looks."""

import numpy as np

from deployments.families.detr.query_selection import proposals


def test_proposals_at_the_edge_of_a_large_map_do_not_count() -> None:
    boxes, is_valid = proposals([(64, 10), (2, 2)])
    assert boxes.shape == (644, 4)
    # The centre of the first row of 64 lies at 1/128, less than 0.01 from the edge.
    of_map = is_valid[:640].reshape(64, 10)
    assert (of_map[[0, -1]] == 0).all()
    assert (of_map[1:-1] == 1).all()
    assert (boxes[0] == 0).all()
    np.testing.assert_allclose(boxes[640], [0.25, 0.25, 0.1, 0.1])
