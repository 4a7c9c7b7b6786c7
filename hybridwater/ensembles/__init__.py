"""Ensembles: what is uncertain, many runs of it, and which uncertainty matters.

An ensemble has a *simulator* (a model or fit: :class:`ModelSimulator`; a coupled case: from
:mod:`hybridwater.cases`), *sources* of uncertainty (:class:`Parameters`, :class:`InitialState`,
:class:`Forcing`, :class:`Fits`, :class:`CouplerWeights`, :class:`Residual`), each a declared
distribution with a seed, that can be switched off, and a :class:`Design`. It runs in this process,
in several, or on a Dask cluster, keeps what is done, and writes one dataset with the dimension
``member``.

Examples
--------
>>> import hybridwater as hw
>>> from hybridwater.ensembles import Design, Ensemble, Forcing, ModelSimulator, Parameters
>>> model = hw.models.linear_reservoir()
>>> runs = ModelSimulator(model, forcing, outputs=["q"])  # doctest: +SKIP
>>> rain = Forcing("prcp", factor={"lognormal": 0.2}, time="3 d")
>>> sources = {"rain": rain, "rate": Parameters({"k": {"uniform": [0.02, 0.05]}})}
>>> members = Ensemble(runs, sources, Design(64, "sobol")).run("ensemble.nc")  # doctest: +SKIP
"""

from hybridwater.ensembles.attribution import variance_shares
from hybridwater.ensembles.coupler_weights import CouplerWeights
from hybridwater.ensembles.design import Design, Draw, Member
from hybridwater.ensembles.distributions import Distribution, lognormal, normal, uniform
from hybridwater.ensembles.ensemble import Ensemble
from hybridwater.ensembles.posterior import ParameterPosterior, parameter_posterior
from hybridwater.ensembles.simulators import Batch, ModelSimulator, Simulator
from hybridwater.ensembles.sources import (
    Fits,
    Forcing,
    InitialState,
    Parameters,
    Residual,
)

__all__ = [
    "Batch",
    "CouplerWeights",
    "Design",
    "Distribution",
    "Draw",
    "Ensemble",
    "Fits",
    "Forcing",
    "InitialState",
    "Member",
    "ModelSimulator",
    "ParameterPosterior",
    "Parameters",
    "Residual",
    "Simulator",
    "lognormal",
    "normal",
    "parameter_posterior",
    "uniform",
    "variance_shares",
]
