"""Weights of a learned exchange that are uncertain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridwater.ensembles.design import Draw
from hybridwater.ensembles.fingerprints import of_path
from hybridwater.errors import EnsembleError


@dataclass(frozen=True)
class CouplerWeights:
    """Weights of a learned exchange of a coupled case: one of several files, or noise about one.

    Parameters
    ----------
    of : str
        A component that takes ``weights``, such as ``"runoff"``, or a learned exchange as the
        ledger names it, ``"air.runoff_flux -> land.recharge_flux"``.
    files : sequence of path-like
        Weights, for example of trainings from several seeds (Lakshminarayanan, B., Pritzel, A. and
        Blundell, C. (2017), Adv. Neural Inf. Process. Syst. 30); each member takes one.
    spread : float, optional
        Instead of files: normal noise about the weights of the case, in the last layers, as a
        share of the root mean square of each tensor.

    Raises
    ------
    EnsembleError
        If there are neither files nor a spread above zero, or both.
    """

    of: str
    files: Sequence[str | Path] = ()
    spread: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", tuple(map(str, self.files)))
        if bool(self.files) == (self.spread is not None) or (self.spread or 0.0) < 0:
            raise EnsembleError(
                f"The weights of '{self.of}' must be some of several files, or have a spread.",
                fix="Give files = ['a.safetensors', 'b.safetensors'], or spread = 0.1",
            )

    @property
    def columns(self) -> int:
        """How many numbers a draw has: noise has none, it has a seed."""
        return 1 if self.files else 0

    def drawn(self, draw: Draw, own: str | Path, folder: Path) -> Path:
        """Return the file of weights of a draw.

        Parameters
        ----------
        draw : Draw
            Which.
        own : str or pathlib.Path
            The weights of the case.
        folder : pathlib.Path
            Where to write those that have noise.

        Raises
        ------
        WeightsError
            If there are no such weights, or they cannot be read.
        """
        from hybridwater.mgn.perturbing import perturb_weights
        from hybridwater.mgn.released import find_weights

        if self.files:
            count = len(self.files)
            return find_weights(self.files[min(int(draw.uniforms[0] * count), count - 1)])
        assert self.spread is not None
        name = "-".join(map(str, draw.seed))
        target = folder / f"{name}.safetensors"
        return perturb_weights(find_weights(own), target, self.spread, draw.generator())

    def __str__(self) -> str:
        if self.spread is not None:
            return f"last layers of {self.of}, spread {self.spread:g}"
        from hybridwater.mgn.released import find_weights

        every = [of_path(find_weights(f)) for f in self.files]
        return f"weights of {self.of}: {', '.join(every)}"
