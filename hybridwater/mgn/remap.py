"""A remap that learns: what a conservative remap moves, shared out anew or moved on to neighbours.

It takes the place of any other :class:`~hybridwater.meshes.Remap` in an exchange.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hybridwater.errors import DataError, SettingsError, WeightsError
from hybridwater.meshes import Mesh, Remap, RiverNetwork
from hybridwater.mgn.correction import ENDS, Correction
from hybridwater.mgn.making import bounds_of, check_ends, graph_of, new_about, new_network
from hybridwater.mgn.network import MeshGraphNetwork
from hybridwater.mgn.storage import load_network, save_network
from hybridwater.mgn.validation import static_table

logger = logging.getLogger(__name__)

Features = Mapping[str, np.ndarray]
States = Mapping[str, Mapping[str, str]]

_AMOUNTS = {"source": "given", "target": "arriving"}


@dataclass
class Moment:
    """What a learned remap knows of the moment in which it moves something.

    Parameters
    ----------
    states : dict of str to numpy.ndarray
        Per end, shape (n_cells, n_states), or (samples, n_cells, n_states).
    memory : dict of str to Tensor
        Per end, shape (1, n_cells, memory); empty before the first call.
    span : float
        Time since the last call, in steps of the training.
    calls, fallbacks : int
        How often it moved something, and how often as the baseline does, out of its range.
    """

    states: dict[str, np.ndarray] = field(default_factory=dict)
    memory: dict[str, Tensor] = field(default_factory=dict)
    span: float = 1.0
    calls: int = 0
    fallbacks: int = 0
    unobserved: np.ndarray | None = None
    """What of the last amounts came from outside, of their shape; None without such a flux."""
    ahead: dict[str, Tensor] = field(default_factory=dict, repr=False)
    """The memory of the next moment."""


@dataclass(frozen=True, eq=False, repr=False)
class LearnedRemap(Remap):
    """A conservative remap and a learned correction of what arrives.

    Sums are those of the conservative remap to rounding, at any weights; amounts that are not
    negative stay so, and nothing arrives at cells of a mesh that the conservative remap does not
    cover, such as masked ones. With an unobserved flux, sums differ by that flux, which is told
    apart. Outside the range of the training it is the conservative remap.

    Attributes
    ----------
    correction : Correction
        What is learned.
    states : mapping of str to mapping of str to str
        Names and units of the states that it reads, of ``"source"`` and ``"target"``.
    step : float
        Length [s] of a step of the training, by which its memory counts.
    about : mapping
        What is kept beside weights, of JSON types.
    moment : Moment
        States and memory.

    Examples
    --------
    >>> import numpy as np
    >>> from hybridwater.meshes import conservative_remap, latlon_mesh
    >>> air = latlon_mesh(np.arange(0, 9, 4.0), np.arange(0, 9, 4.0), name="air")
    >>> land = latlon_mesh(np.arange(0, 9.0), np.arange(0, 9.0), name="land")
    >>> remap = LearnedRemap.of(
    ...     conservative_remap(air, land), air, land, target_static={"height": np.arange(64.0)}
    ... )
    >>> bool(np.isclose(remap.amounts(np.ones(4)).sum(), 4.0))
    True
    """

    correction: Correction = field(kw_only=True)
    states: States = field(kw_only=True, default_factory=lambda: {n: {} for n in ENDS})
    step: float = field(kw_only=True, default=86400.0)
    about: Mapping[str, Any] = field(kw_only=True, default_factory=dict)
    moment: Moment = field(kw_only=True, default_factory=Moment)

    @classmethod
    def of(
        cls,
        remap: Remap,
        source: Mesh | RiverNetwork,
        target: Mesh | RiverNetwork,
        *,
        source_static: Features | None = None,
        target_static: Features | None = None,
        states: States | None = None,
        step: float = 86400.0,
        unobserved: float = 0.0,
        most: float | np.ndarray | None = None,
        moves: Literal["shares", "fluxes"] | None = None,
        elevations: Features | None = None,
        hierarchy: Mapping[str, Any] | None = None,
        weights: str | Path | LearnedRemap | None = None,
        **choices: Any,
    ) -> LearnedRemap:
        """Put a correction on a remap.

        Parameters
        ----------
        remap : Remap
            The baseline.
        source, target : Mesh or RiverNetwork
            Its two ends.
        source_static, target_static : dict of str to array_like, optional
            Features of cells, shape (n_cells,), by name.
        states : mapping of str to mapping of str to str, optional
            Names and units of the states that it reads, of ``"source"`` and ``"target"``; per
            measure where they count what is in a cell. Those of the weights by default.
        step : float
            Length [s] of a step of the training, where there are no weights.
        unobserved : float
            Standard deviation of the prior of a flux from outside into each target cell, as a share
            of the mean that arrives, where there are no weights; 0 for no such flux.
        most : float or array_like, optional
            Most that may arrive at each target cell, per measure and in the unit of what is moved,
            shape (n_target,) or a number. The correction adds nothing where the baseline brings
            more.
        moves : {"shares", "fluxes"}, optional
            What is learned, where there are no weights: in what shares a source cell gives to the
            targets that it and its neighbours overlap, which means the same on targets of any size;
            or fluxes between neighbouring target cells (or reaches). Shares by default where source
            cells overlap two targets or more on average.
        elevations : mapping of str to array_like, optional
            Elevation [m] of the cells of ``"source"`` and ``"target"``, shape (n_cells,), or of one
            of them: edges then know how steep the ground is. With weights, of the ends of the
            training.
        hierarchy : mapping, optional
            ``levels``, ``ratio`` and ``least`` of :func:`~hybridwater.mgn.make_graph`, where there
            are no weights. Levels are of use with ``cycle="v"`` or ``"w"``, the default of fluxes.
        weights : path-like or LearnedRemap, optional
            Trained weights, of these or of other meshes; or another remap, whose weights are then
            those of both, so that they learn from both. Without them, it is the baseline until it
            is trained.
        **choices
            Of :class:`~hybridwater.mgn.Architecture`, where there are no weights.

        Raises
        ------
        MeshError, DataError, SettingsError, WeightsError
            If meshes do not fit the remap, features are not one finite number per cell, or the
            weights are of something else.
        """
        if weights is None:
            about: Mapping[str, Any] = new_about(remap, target, moves, hierarchy, elevations)
        elif isinstance(weights, LearnedRemap):
            network, about = weights.correction.network, weights.about
        else:
            network, about = load_network(weights)
        graph = graph_of(remap, source, target, about, elevations, str(weights))
        features = {"source": dict(source_static or {}), "target": dict(target_static or {})}
        if weights is None:
            states = _both_ends(states or {})
            inputs = {n: (_AMOUNTS[n], *states[n], *features[n]) for n in ENDS}
            for name, names in inputs.items():
                if len(set(names)) < len(names):
                    raise SettingsError(f"Two inputs of the {name} have one name: {names}.")
            outside = unobserved > 0.0
            network = new_network(graph, inputs, about["moves"], unobserved=outside, **choices)
            about = {**about, "step": step, "states": states, "unobserved": unobserved}
        else:
            states = _fitting(network, about, states, features, str(weights))
        static = {}
        for name in ENDS:
            wanted = network.architecture.inputs[name][1 + len(states[name]) :]
            chosen = {label: features[name][label] for label in wanted}
            static[name] = static_table(chosen, len(graph[name].measure), name)
        measure = graph["target"].measure.numpy()
        bounds = bounds_of(remap, measure, most, lines=isinstance(target, RiverNetwork))
        spread = about.get("unobserved", 0.0)
        return cls(
            **{name: getattr(remap, name) for name in Remap.__dataclass_fields__},
            correction=Correction(graph, network, static, about["reach"], spread, bounds).eval(),
            states=states,
            step=about.get("step", step),
            about=dict(about),
        )

    def begin(self) -> LearnedRemap:
        """Return the same remap with no memory, for one exchange of one run."""
        return dataclasses.replace(self, moment=Moment())

    @property
    def fallbacks(self) -> int:
        """How often it was out of its range and moved as the baseline does."""
        return self.moment.fallbacks

    def amounts(self, values: np.ndarray) -> np.ndarray:
        """Move amounts or their rates; see :meth:`hybridwater.meshes.Remap.amounts`.

        Reads the states and the memory of its moment, and says in ``ahead`` what is to be
        remembered.

        Raises
        ------
        DataError
            If it reads states and its moment has none.
        """
        moved = super().amounts(values)
        flat = np.asarray(values, dtype=float).reshape(-1, self.shares.shape[1])
        base = torch.from_numpy(moved.reshape(-1, moved.shape[-1]))
        moment = self.moment
        given = torch.from_numpy(flat).to(self.correction.device)
        base = base.to(self.correction.device)
        with torch.no_grad():
            states = self._states(len(flat))
            found = self.correction(given, base, states, moment.memory, moment.span)
        known = found.known
        moment.calls += len(known)
        if not bool(known.all()):
            if not moment.fallbacks:
                logger.warning(
                    "The learned remap from '%s' to '%s' is out of the range of its training: it "
                    "falls back to the conservative remap there, and counts how often.",
                    self.source,
                    self.target,
                )
            moment.fallbacks += int((~known).sum())
        moment.ahead = found.memory if bool(known.all()) else moment.memory
        if self.correction.unobserved:
            outside = torch.where(known[:, None], found.unobserved, 0.0)
            moment.unobserved = outside.cpu().numpy().reshape(moved.shape)
        corrected = torch.where(known[:, None], found.amounts, base)
        return corrected.cpu().numpy().reshape(moved.shape)

    def _states(self, samples: int) -> dict[str, Tensor]:
        found = {}
        for name, names in self.states.items():
            if not names:
                continue
            if name not in self.moment.states:
                raise DataError(
                    f"The remap reads {', '.join(names)} of the {name}, and was given none.",
                    f"remap '{self.source}' to '{self.target}'",
                    "Use it in an exchange, or set moment.states",
                )
            values = torch.from_numpy(np.asarray(self.moment.states[name], dtype=float))
            values = values.to(self.correction.device)
            found[name] = values.expand(samples, *values.shape[-2:])
        return found

    def imprint(self) -> list[np.ndarray]:
        """Return the arrays that tell one remap from another, weights and features included."""
        own = self.correction
        tensors = [*own.state_dict().values(), *own.static.values()]
        if bool(torch.isfinite(own.most).any()):
            tensors.append(own.most)
        return [*super().imprint(), *(t.cpu().numpy() for t in tensors)]

    def fit(self, given: np.ndarray, arrived: np.ndarray, **options: Any) -> list[float]:
        """Train the correction on what was given and what truly arrived.

        As :func:`hybridwater.mgn.fit_remap`, of which it returns the losses.
        """
        from hybridwater.mgn.fitting import fit_remap

        return fit_remap(self, given, arrived, **options)["loss"].tolist()

    def save(self, path: str | Path, about: Mapping[str, Any] | None = None) -> Path:
        """Write the weights of the correction, which fit other meshes too.

        Parameters
        ----------
        path : path-like
            A file that ends in ``.safetensors``.
        about : mapping, optional
            More to keep beside them, such as what it was trained on.
        """
        return save_network(self.correction.network, path, {**(about or {}), **self.about})


def _both_ends(states: States) -> dict[str, dict[str, str]]:
    check_ends(states, "states")
    return {name: dict(states.get(name, {})) for name in ENDS}


def _fitting(
    network: MeshGraphNetwork,
    about: Mapping[str, Any],
    states: States | None,
    features: Mapping[str, Features],
    where: str,
) -> dict[str, dict[str, str]]:
    """Return the states that weights read, or refuse weights that read something else."""
    inputs = network.architecture.inputs
    own = _both_ends(about.get("states", {})) if about.get("kind") == "remap" else {}
    wanted = own if states is None else _both_ends(states)
    fits = bool(own) and inputs.keys() == own.keys()
    for name in own if fits else ():
        split = 1 + len(own[name])
        head = (_AMOUNTS[name], *own[name])
        fits &= inputs[name][:split] == head and wanted[name] == own[name]
        fits &= set(inputs[name][split:]) <= features[name].keys()
    if not fits:
        have = {n: (_AMOUNTS[n], *wanted.get(n, ()), *features[n]) for n in ENDS}
        raise WeightsError(
            f"The weights read {dict(inputs)}, this remap has {have}.",
            where,
            "Give the weights of a learned remap, and the states and features that they read",
        )
    return own
