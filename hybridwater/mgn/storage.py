"""Weights of mesh graph networks in files: safetensors, with the architecture in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import hybridwater
from hybridwater.errors import HybridwaterError, WeightsError
from hybridwater.files import write_files
from hybridwater.mgn.configuration import Architecture
from hybridwater.mgn.network import MeshGraphNetwork

SCHEMA = "hybridwater.mgn/1"
"""What a file must say that it is."""


_BESIDE = "beside."
"""What the names of tensors begin with that are kept beside a network."""


def save_network(
    network: MeshGraphNetwork,
    path: str | Path,
    about: Mapping[str, Any] | None = None,
    beside: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write the weights and normalisers of a network.

    Parameters
    ----------
    network : MeshGraphNetwork
        The network.
    path : path-like
        A file that ends in ``.safetensors``.
    about : mapping, optional
        More to keep beside them, of JSON types, such as what was trained on.
    beside : mapping of str to Tensor, optional
        More tensors; `load_beside` returns them.

    Raises
    ------
    WeightsError
        If it cannot be written.
    """
    from safetensors.torch import save

    path = Path(path)
    header = {
        "schema": SCHEMA,
        "hybridwater": hybridwater.__version__,
        # In its own order, which is the order of sums: to the same bytes when it is read again.
        "architecture": json.dumps(network.architecture.to_dict()),
        "about": json.dumps(dict(about or {}), sort_keys=True),
    }
    everything = {**network.state_dict(), **{_BESIDE + k: v for k, v in (beside or {}).items()}}
    tensors = {k: v.detach().cpu().contiguous() for k, v in everything.items()}
    write_files({path: save(tensors, header)}, error=WeightsError)
    return path


def load_network(
    path: str | Path, expected: Architecture | None = None
) -> tuple[MeshGraphNetwork, dict[str, Any]]:
    """Read a network that `save_network` wrote.

    Parameters
    ----------
    path : path-like
        The file.
    expected : Architecture, optional
        What the network has to be like.

    Returns
    -------
    network : MeshGraphNetwork
        In evaluation mode.
    about : dict
        What was kept beside it.

    Raises
    ------
    WeightsError
        If there is no such file, it is damaged, has another schema, a weight is not finite, or its
        architecture is not the expected one.
    """
    path = Path(path)
    where = str(path)
    if not path.is_file():
        raise WeightsError("There is no such file.", where, "Name a file of weights")
    header, tensors = read_weights(path)
    if header.get("schema") != SCHEMA:
        raise WeightsError(
            f"The weights have the schema '{header.get('schema', 'none')}', not '{SCHEMA}'.",
            where,
            "Give weights of a mesh graph network of this version of hybridwater",
        )
    try:
        architecture = Architecture.from_dict(json.loads(header["architecture"]))
        about = json.loads(header["about"])
        network = MeshGraphNetwork(architecture)
        network.load_state_dict({k: v for k, v in tensors.items() if not k.startswith(_BESIDE)})
    except (HybridwaterError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(
            f"The weights do not fit their own header ({type(error).__name__}).",
            where,
            "The file is damaged: copy or train it again",
        ) from error
    if not all(bool(torch.isfinite(values).all()) for values in tensors.values()):
        raise WeightsError(
            "A weight is not finite.", where, "The training diverged: train at a lower rate"
        )
    if expected is not None:
        _compare(architecture, expected, where)
    return network.eval(), about


def load_beside(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors that `save_network` kept beside a network; see `load_network`."""
    tensors = read_weights(Path(path))[1]
    return {k.removeprefix(_BESIDE): v for k, v in tensors.items() if k.startswith(_BESIDE)}


def read_weights(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what a file says of itself, and its tensors.

    Raises
    ------
    WeightsError
        If it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {k: file.get_tensor(k) for k in file.keys()}
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"The weights cannot be read ({error}).", str(path), "Copy or train them again"
        ) from error


def _compare(found: Architecture, expected: Architecture, where: str) -> None:
    mine, theirs = found.to_dict(), expected.to_dict()
    other = [k for k in mine if mine[k] != theirs[k]]
    if other:
        shown = "; ".join(f"{k}: {mine[k]}, needed {theirs[k]}" for k in other)
        raise WeightsError(
            f"The weights belong to another architecture ({shown}).",
            where,
            "Give the weights of this network, or train it again",
        )
