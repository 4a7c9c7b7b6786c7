import numpy as np

from hybridwater.meshes import latlon_mesh
from hybridwater.meshes.candidates import candidate_pairs
from hybridwater.meshes.pieces import convex_pieces


def boxes_meet(one, two, turns):
    shifted = two[:, [0, 2]][None] + 360.0 * turns
    east_west = (one[:, None, 0] <= shifted[..., 1]) & (shifted[..., 0] <= one[:, None, 2])
    return east_west & (one[:, None, 1] <= two[None, :, 3]) & (two[None, :, 1] <= one[:, None, 3])


def test_pairs_are_those_of_all_boxes_also_over_the_date_line():
    source = convex_pieces(latlon_mesh(np.linspace(-175, 185, 13), np.linspace(-90, 90, 7)))
    target = convex_pieces(latlon_mesh(np.linspace(3, 363, 9), np.linspace(-90, 90, 5)))
    ours, theirs = candidate_pairs(source, target, round_earth=True)
    found = np.zeros((12 * 6, 8 * 4), dtype=bool)
    found[ours, theirs] = True
    assert len(ours) == found.sum()  # none twice
    expected = np.any([boxes_meet(source.boxes, target.boxes, k) for k in (-1, 0, 1)], axis=0)
    np.testing.assert_array_equal(found, expected)


def test_they_are_sorted_by_target():
    pieces = convex_pieces(latlon_mesh(np.linspace(-180, 180, 13), np.linspace(-90, 90, 7)))
    ours, theirs = candidate_pairs(pieces, pieces, round_earth=True)
    assert (np.diff(theirs * 1000 + ours) > 0).all()
