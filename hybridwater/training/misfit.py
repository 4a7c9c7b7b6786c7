"""How large the errors of a simulated series are, and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Shares of the scale of an error that grow with the flow, from none to all but a hundredth.
_SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99)
_TINY = 1e-300
_LAST = 0.98  # largest autocorrelation of errors that is believed


@dataclass(frozen=True)
class Misfit:
    """Errors of one series, with the scale that suits them best.

    The standard deviation of an error is linear in what is simulated (Schoups and Vrugt 2010,
    doi:10.1029/2009WR008933, eq. 5). Errors that grow with the flow would else be judged by the
    few largest values alone, and an equation that follows their noise would look better.

    Parameters
    ----------
    error, scale : numpy.ndarray
        Simulated minus observed, and its standard deviation, in the unit of the series.
    """

    error: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, simulated: np.ndarray, error: np.ndarray, *, even: bool = False) -> Misfit:
        """Find the share of the scale that grows with the flow, by maximum likelihood.

        Parameters
        ----------
        simulated, error : numpy.ndarray
            Of one series, shape (time,).
        even : bool
            Whether no share does, as a fit of squared errors takes it.
        """
        relative = np.abs(simulated) / max(float(np.mean(np.abs(simulated))), _TINY)
        shares = _SHARES[:1] if even else _SHARES
        scales = [(1 - share) + share * relative for share in shares]
        scales = [s * max(float(np.sqrt(np.mean((error / s) ** 2))), _TINY) for s in scales]
        return cls(error, min(scales, key=lambda s: float(np.mean(np.log(s)))))

    @property
    def level(self) -> float:
        """Minus twice the mean logarithm of the likelihood, but for a constant."""
        return 2 * float(np.mean(np.log(self.scale)))

    @property
    def worth(self) -> float:
        """How many independent errors a series is worth that is autocorrelated of first order.

        ``n (1 - r) / (1 + r)`` with the correlation r of successive errors (Bayley and Hammersley
        1946, doi:10.2307/2983560).
        """
        even = self.error / self.scale
        correlation = float(np.clip(np.corrcoef(even[1:], even[:-1])[0, 1], 0.0, _LAST))
        return len(even) * (1 - correlation) / (1 + correlation)
