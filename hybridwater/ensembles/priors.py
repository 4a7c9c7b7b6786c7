"""What is known of parameters before the observations, besides their bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from hybridwater.ensembles.distributions import Distribution
from hybridwater.errors import EnsembleError, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from hybridwater.ude.terms import Parameter

_KINDS = ("normal", "lognormal")


def log_prior(
    parameters: Sequence[Parameter], priors: Mapping[str, Distribution]
) -> Callable[[Tensor], Tensor]:
    """Return the logarithm of how much more likely values are than by their bounds alone.

    Parameters
    ----------
    parameters : sequence of Parameter
        In the order of the values.
    priors : mapping of str to Distribution
        By parameter: ``normal`` of the value in its unit, or ``lognormal`` of the value as a factor
        of its default. Cut off at the bounds.

    Returns
    -------
    callable
        From values, shape (n_parameters,), to one number, but for a constant. By the bounds alone
        every value is as likely as another, or every logarithm of parameters declared so.

    Raises
    ------
    EnsembleError
        If there is no such parameter, or a distribution that is neither.
    """
    names = [p.name for p in parameters]
    for name, prior in priors.items():
        if name not in names:
            raise EnsembleError(
                f"There is a prior of '{name}', which is not inferred ({nearest(name, names)})."
            )
        parameter = parameters[names.index(name)]
        if prior.kind not in _KINDS or (prior.kind == "lognormal" and not parameter.default > 0):
            raise EnsembleError(
                f"The prior of '{name}' is {prior}, with a default of {parameter.default:g}.",
                fix="Give normal, or lognormal where the default is above zero; where all values "
                "of a range are alike, declare bounds",
            )

    def log_density(values: Tensor) -> Tensor:
        total = values.new_zeros(())
        for name, prior in priors.items():
            parameter, value = parameters[names.index(name)], values[names.index(name)]
            if prior.kind == "normal":
                mean, sd = prior.numbers
                total = total - ((value - mean) / sd) ** 2 / 2
            else:
                (sd,) = prior.numbers
                away = value.log() - math.log(parameter.default) + sd**2 / 2
                total = total - (away / sd) ** 2 / 2 - value.log()
            if parameter.log:
                total = total + value.log()
        return total

    return log_density
