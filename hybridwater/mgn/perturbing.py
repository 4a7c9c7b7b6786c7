"""Weights that are not quite known: another last layer of a network, as near as is said."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from hybridwater.errors import WeightsError
from hybridwater.files import write_bytes
from hybridwater.mgn.storage import read_weights

_DECODER = re.compile(r"((?:edge_)?decoders\..+\.layers\.)(\d+)\.(?:weight|bias)")


def perturb_weights(
    source: Path, target: Path, spread: float, generator: np.random.Generator
) -> Path:
    """Write weights whose last layers are drawn about those of a file.

    The features that a network has learned are held, as in a Bayesian last layer (Kristiadi, A.,
    Hein, M. and Hennig, P. (2020), Being Bayesian, even just a bit, 37th International Conference
    on Machine Learning, 5436-5446). There the spread is that of a posterior; here it is declared.

    Parameters
    ----------
    source, target : pathlib.Path
        Files of weights, to read and to write.
    spread : float
        Standard deviation of a weight, as a share of the root mean square of its tensor.
    generator : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    pathlib.Path
        The target.

    Raises
    ------
    WeightsError
        If the file cannot be read, or has no such layer.
    """
    import torch
    from safetensors.torch import save

    about, tensors = read_weights(source)
    found = [match for name in sorted(tensors) if (match := _DECODER.fullmatch(name))]
    if not found:
        raise WeightsError(
            "The weights have no decoder.", str(source), "Name weights of a learned exchange"
        )
    last: dict[str, int] = {}
    for match in found:
        last[match[1]] = max(last.get(match[1], 0), int(match[2]))
    for match in found:
        if int(match[2]) == last[match[1]]:
            old = tensors[match[0]]
            size = spread * float(old.double().square().mean().sqrt())
            noise = torch.from_numpy(generator.standard_normal(tuple(old.shape)))
            tensors[match[0]] = old + (size * noise).to(old)
    write_bytes(target, save({k: v.contiguous() for k, v in tensors.items()}, about))
    return target
