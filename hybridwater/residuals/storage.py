"""Saving and loading a residual posterior: JSON for what people read, safetensors for numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hybridwater
from hybridwater.errors import HybridwaterError, WeightsError
from hybridwater.files import write_files
from hybridwater.residuals.inference import Diagnostics
from hybridwater.residuals.layout import Layout
from hybridwater.residuals.terms import Scaling

if TYPE_CHECKING:
    from hybridwater.residuals.posterior import ResidualPosterior

DOCUMENT, TENSORS = "residuals.json", "residuals.safetensors"
_SCHEMA = 3  # before, terms were not bounded and the chain had two regimes


def save(posterior: ResidualPosterior, directory: Path) -> Path:
    """Write a posterior; see :meth:`ResidualPosterior.save`."""
    import torch
    from safetensors.torch import save as pack

    layout = posterior.layout
    tensors = {n: v.contiguous() for n, v in posterior.draws.items()}
    tensors["correlation"] = posterior.correlation.contiguous()
    for name, values in (
        ("flow", layout.flow),
        ("centre", layout.scaling.centre),
        ("spread", layout.scaling.spread),
    ):
        tensors[f"layout.{name}"] = torch.as_tensor(np.ascontiguousarray(values))
    packed = pack(tensors)
    document: dict[str, Any] = {
        "schema": _SCHEMA,
        "hybridwater": hybridwater.__version__,
        "model": dataclasses.asdict(posterior.model),
        "sites": list(layout.sites),
        "dimension": layout.dimension,
        "unit": layout.unit,
        "step": layout.step,
        "attributes": layout.attributes,
        "covariates": layout.covariates,
        "diagnostics": {n: dataclasses.asdict(d) for n, d in posterior.diagnostics.items()},
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    write_files(
        {
            directory / TENSORS: packed,
            directory / DOCUMENT: json.dumps(document, indent=1).encode(),
        },
        error=WeightsError,
    )
    return directory


def load(directory: Path) -> ResidualPosterior:
    """Read a posterior; see :meth:`ResidualPosterior.load`."""
    from safetensors.torch import load as unpack

    from hybridwater.residuals.model import ResidualModel
    from hybridwater.residuals.posterior import ResidualPosterior

    for name in (DOCUMENT, TENSORS):
        if not (directory / name).is_file():
            raise WeightsError(f"There is no {name}.", str(directory), "Name a saved posterior")
    try:
        document = json.loads((directory / DOCUMENT).read_text("utf-8"))
        packed = (directory / TENSORS).read_bytes()
        if document["schema"] != _SCHEMA:
            raise WeightsError(
                f"The posterior has schema {document['schema']}, this version reads {_SCHEMA}.",
                str(directory),
                "Fit again, or use the version of hybridwater that wrote it",
            )
        if hashlib.sha256(packed).hexdigest() != document["sha256"]:
            raise WeightsError(
                f"The numbers in {TENSORS} are damaged or belong to another fit.",
                str(directory),
                "Fit again, or copy the whole folder again",
            )
        tensors = unpack(packed)
        flow, centre, spread = (
            tensors.pop(f"layout.{n}").numpy() for n in ("flow", "centre", "spread")
        )
        layout = Layout(
            tuple(document["sites"]),
            document["dimension"],
            document["unit"],
            document["step"],
            flow,
            Scaling(centre, spread),
            {n: (v[0], v[1]) for n, v in document["attributes"].items()},
            {n: (v[0], v[1]) for n, v in document["covariates"].items()},
        )
        diagnostics = {
            n: Diagnostics(**{**d, "elbo": tuple(d["elbo"])})
            for n, d in document["diagnostics"].items()
        }
        model = ResidualModel(**document["model"])
        together = tensors.pop("correlation")
        return ResidualPosterior(model, layout, tensors, diagnostics, together)
    except HybridwaterError:
        raise
    except Exception as error:
        raise WeightsError(
            f"The posterior cannot be read ({type(error).__name__}: {error}).",
            str(directory),
            "Fit again, or copy the whole folder again",
        ) from error
