"""Saving and loading a surrogate: JSON for what people read, safetensors for numbers."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hybridwater
from hybridwater.engines import Options
from hybridwater.errors import HybridwaterError, WeightsError
from hybridwater.files import write_files
from hybridwater.training.ranges import Ranges
from hybridwater.training.regional import ParameterNetwork
from hybridwater.ude.model import UDE

if TYPE_CHECKING:
    from hybridwater.training.surrogate import Surrogate

_SCHEMA = 1
DOCUMENT, _TENSORS, _METRICS = "surrogate.json", "surrogate.safetensors", "metrics.csv"


def save(surrogate: Surrogate, directory: Path) -> Path:
    """Write a surrogate; see :meth:`Surrogate.save`."""
    from safetensors.numpy import save as pack

    tensors = {"weights": surrogate.weights}
    tensors |= {f"parameters.{n}": v for n, v in surrogate.parameters.items()}
    tensors |= {f"skeleton.{n}": v for n, v in surrogate.skeleton.items()}
    network = surrogate.network
    document: dict[str, Any] = {
        "schema": _SCHEMA,
        "hybridwater": hybridwater.__version__,
        "model": surrogate.ude.to_dict(),
        "basins": list(surrogate.basins),
        "options": dataclasses.asdict(surrogate.options),
        "observed": surrogate.observed,
        "periods": {n: list(p) for n, p in surrogate.periods.items()},
        "ranges": dataclasses.asdict(surrogate.ranges),
        "begin": surrogate.begin,
    }
    if network is not None:
        tensors |= {f"network.{n}": v for n, v in network.state.items()}
        tensors |= {"attributes.mean": network.mean, "attributes.std": network.std}
        document["network"] = {
            "attributes": list(network.attributes),
            "units": list(network.units),
            "hidden": list(network.hidden),
        }
    packed = pack({k: np.ascontiguousarray(v) for k, v in tensors.items()})
    document["sha256"] = hashlib.sha256(packed).hexdigest()
    files = {directory / _TENSORS: packed}
    if surrogate.metrics is not None:
        files[directory / _METRICS] = surrogate.metrics.to_csv(index=False).encode()
    files[directory / DOCUMENT] = json.dumps(document, indent=1).encode()
    write_files(files, error=WeightsError)
    return directory


@functools.lru_cache(maxsize=32)
def _model(text: str) -> UDE:
    """Read a model once: it never changes, and its equations and units take a while to check."""
    return UDE.from_dict(json.loads(text))


def load(cls: type[Surrogate], directory: Path) -> Surrogate:
    """Read a surrogate; see :meth:`Surrogate.load`."""
    import pandas as pd
    from safetensors.numpy import load as unpack

    advice = "Fit again, or copy the whole run directory again"
    for name in (DOCUMENT, _TENSORS):
        if not (directory / name).is_file():
            raise WeightsError(f"There is no {name}.", str(directory), "Name a run directory")
    try:
        document = json.loads((directory / DOCUMENT).read_text())
        packed = (directory / _TENSORS).read_bytes()
        if document["schema"] != _SCHEMA:
            raise WeightsError(
                f"The run has schema {document['schema']}, this version reads {_SCHEMA}.",
                str(directory),
                "Use the version of hybridwater that wrote it",
            )
        if hashlib.sha256(packed).hexdigest() != document["sha256"]:
            raise WeightsError(
                f"The weights in {_TENSORS} are damaged or belong to another run.",
                str(directory),
                advice,
            )
        tensors = unpack(packed)
        ude = _model(json.dumps(document["model"]))
        options = {k: v for k, v in document["options"].items() if k != "fluxes"}
        ranges = document["ranges"]
        limits = {n: (low, high) for n, (low, high) in ranges["limits"].items()}
        network = None
        if "network" in document:
            network = ParameterNetwork(
                **{k: tuple(v) for k, v in document["network"].items()},
                mean=tensors["attributes.mean"],
                std=tensors["attributes.std"],
                state=_part(tensors, "network."),
            )
        metrics = directory / _METRICS
        return cls(
            ude=ude,
            basins=tuple(document["basins"]),
            parameters=_part(tensors, "parameters."),
            weights=tensors["weights"],
            options=Options(**options),
            ranges=Ranges(limits, ranges["units"]),
            observed=document["observed"],
            periods={n: (p[0], p[1]) for n, p in document["periods"].items()},
            skeleton=_part(tensors, "skeleton."),
            network=network,
            begin=document.get("begin", "initial"),
            metrics=pd.read_csv(metrics) if metrics.is_file() else None,
        )
    except HybridwaterError:
        raise
    except Exception as error:
        raise WeightsError(
            f"The run cannot be read ({type(error).__name__}: {error}).", str(directory), advice
        ) from error


def _part(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
