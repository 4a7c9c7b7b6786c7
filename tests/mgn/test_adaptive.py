import numpy as np
import pytest
import torch

from hybridwater.errors import DataError, SettingsError
from hybridwater.meshes import Mesh, RiverNetwork, RiverPieces, Sizing
from hybridwater.mgn import (
    Episode,
    FluxDynamics,
    IncrementDynamics,
    adaptive_rollout,
    make_graph,
)


def triangles(count=8, size=1000.0):
    x, y = np.meshgrid(np.arange(count + 1), np.arange(count + 1))
    nodes = np.stack([x.ravel(), y.ravel()], axis=1) * size
    corner = (np.arange(count)[:, None] * (count + 1) + np.arange(count)).ravel()
    lower = np.stack([corner, corner + 1, corner + count + 2], axis=1)
    upper = np.stack([corner, corner + count + 2, corner + count + 1], axis=1)
    return Mesh.from_faces(nodes, np.concatenate([lower, upper]), name="land")


def mound(x):
    return np.where(x < 3000.0, 2.0, 0.0)


def trained_like(part, column, name, **choices):
    """Return dynamics with typical values of an episode and random weights."""
    torch.manual_seed(0)
    start = mound(column)[:, None]
    mean = start.mean()
    states = np.stack([mean + (start - mean) * 0.9**k for k in range(4)])
    graph = make_graph({name: part}, least=4)
    dynamics = FluxDynamics.of([Episode(graph, states)], width=8, **choices)
    with torch.no_grad():
        for weights in dynamics.parameters():
            weights.mul_(2.0)
    return dynamics, start


def test_on_a_mesh_water_is_kept_within_bounds_and_cells_follow_it():
    pytest.importorskip("mmgpy")
    mesh = triangles()
    dynamics, start = trained_like(mesh, mesh.centroids[:, 0], "land", most=2.0)
    sizing = Sizing(300.0, 3000.0, change=0.2, cells=300)
    made = adaptive_rollout(dynamics, mesh, start, steps=3, sizing=sizing, every=2)
    assert len(made.parts) == len(made.states) == 4
    assert made.parts[0] is made.parts[2]  # the last of the first mesh
    assert made.parts[3] is not made.parts[2]
    assert (made.sizes <= 300).all()
    np.testing.assert_allclose(made.amounts(), start.T @ mesh.areas * np.ones((4, 1)), rtol=1e-12)
    for states in made.states:
        assert states.min() >= 0.0
        assert states.max() <= 2.0 + 1e-12
    assert not torch.allclose(made.states[1], made.states[0])
    size = np.sqrt(made.parts[0].areas)
    away = np.abs(made.parts[0].centroids[:, 0] - 3000.0)
    assert size[away < 500.0].mean() < 0.5 * size[away > 3000.0].mean()


def test_on_a_river_reaches_are_cut_anew_and_water_is_kept():
    river = RiverNetwork(np.r_[1:30, -1, 20, 30], np.full(32, 400.0), name="river")
    place = river.distance.max() - river.distance
    dynamics, start = trained_like(river, place, "river", form="free")
    sizing = Sizing(100.0, 2000.0, change=0.3, cells=60)
    made = adaptive_rollout(dynamics, river, start, steps=4, sizing=sizing)
    assert len(set(made.sizes)) > 1
    assert (made.sizes <= 60).all()
    kept = start.T @ river.lengths * np.ones((5, 1))
    np.testing.assert_allclose(made.amounts(), kept, rtol=1e-12)
    assert min(float(s.min()) for s in made.states) >= 0.0
    lengths = made.parts[0].network.lengths
    assert lengths.min() < 200.0 < 1000.0 < lengths.max()
    # from pieces, whose order is that of the line
    pieces = RiverPieces.of(river)
    again = adaptive_rollout(dynamics, pieces, start[pieces.line.order], steps=4, sizing=sizing)
    torch.testing.assert_close(again.states[-1], made.states[-1])
    moved = made.parts[-1].remap_to(pieces, order=2).means(made.states[-1][:, 0].numpy())
    assert moved @ pieces.network.lengths == pytest.approx(kept[0, 0], rel=1e-12)


def test_forcing_and_features_go_with_the_cells():
    """What is given of the first cells, and what a function says, come to the same reaches."""
    river = RiverNetwork([1, 2, 3, -1], [1000.0, 2000.0, 1500.0, 500.0], name="river")
    states = np.array([0.0, 1.0, 1.0, 3.0])[:, None]
    force = np.arange(8.0).reshape(2, 4, 1)
    static = np.array([1.0, 1.0, 5.0, 5.0])[:, None]
    episode = Episode(
        make_graph({"river": river}, least=2),
        np.stack([states, states + 1, states + 2]),
        forcing=force,
        static=static,
    )
    seen = []

    class Watched(IncrementDynamics):
        def forward(self, graph, states, forcing, static, span=1.0):
            seen.append((graph["river"].measure.numpy(), forcing.numpy(), static.numpy(), span))
            return states + 1.0

    dynamics = Watched(IncrementDynamics.of([episode], width=4).network, torch.ones(1))
    sizing = Sizing(250.0, 250.0, change=1.0)
    made = adaptive_rollout(
        dynamics, river, states, steps=2, sizing=sizing, forcing=force, static=static, span=3.0
    )
    for step, (lengths, drive, fixed, span) in enumerate(seen):
        assert span == 3.0
        assert len(lengths) == 20
        np.testing.assert_allclose(lengths, 250.0)
        np.testing.assert_allclose(drive.ravel(), np.repeat(force[step].ravel(), [4, 8, 6, 2]))
        np.testing.assert_allclose(fixed.ravel(), np.repeat([1.0, 5.0], [12, 8]))
    first = made
    made = adaptive_rollout(
        dynamics,
        river,
        states,
        steps=2,
        sizing=sizing,
        forcing=lambda cells, step: np.full((cells.size, 1), float(step)),
        static=lambda cells: cells.lengths[:, None],
    )
    np.testing.assert_array_equal(seen[3][1], np.ones((20, 1)))
    np.testing.assert_allclose(seen[3][2], 250.0)
    torch.testing.assert_close(made.states[-1], first.states[-1])


def test_what_cannot_be_is_refused():
    river = RiverNetwork([1, 2, 3, -1], [1000.0] * 4, name="river")
    dynamics, start = trained_like(river, np.array([0.0, 0.0, 9e3, 9e3]), "river", form="free")
    sizing = Sizing(250.0, 2000.0, change=1.0)

    def run(states=start, steps=1, **choices):
        adaptive_rollout(dynamics, river, states, **{"steps": steps, "sizing": sizing, **choices})

    with pytest.raises(SettingsError, match="every=0"):
        run(every=0)
    with pytest.raises(DataError, match=r"'states' has the shape \(3, 1\), not \(4, any\)"):
        run(start[:3])
    with pytest.raises(DataError, match="1 values of 'states' are not finite"):
        run(np.where(np.arange(4)[:, None] == 2, np.nan, start))
    with pytest.raises(DataError, match=r"'forcing' has the shape \(1, 4, 1\), not \(2, 4, any\)"):
        run(steps=2, forcing=np.zeros((1, 4, 1)))
    with pytest.raises(DataError, match="A function gave the shape"):
        run(static=lambda cells: np.full((cells.size, 1), np.nan))
