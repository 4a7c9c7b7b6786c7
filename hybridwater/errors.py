"""Every error that hybridwater raises.

Each message is three short sentences: what happened, where, and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HybridwaterError(Exception):
    """Base class of all hybridwater errors.

    Parameters
    ----------
    what : str
        What happened, one sentence.
    where : str, optional
        Where: a component, basin, cell, time, file or name.
    fix : str, optional
        What the reader should do about it.
    """

    def __init__(self, what: str, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(what, where, fix)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        sentences = [self.what]
        if self.where:
            sentences.append(f"Where: {self.where}")
        if self.fix:
            sentences.append(f"To mend it: {self.fix}")
        return " ".join(s if s.endswith((".", "?", "!")) else s + "." for s in sentences)


class UnitError(HybridwaterError):
    """A unit is missing, unknown or incompatible with the one that is needed."""


class DeclarationError(HybridwaterError):
    """A model declaration is not well formed."""


class DataError(HybridwaterError):
    """Forcing, observations or attributes cannot be used as they are."""


class MeshError(HybridwaterError):
    """A mesh, a river network or the weights between two of them are not well formed."""


class SolveFailed(HybridwaterError):
    """A solver could not reach the end of the simulation."""


class SettingsError(HybridwaterError):
    """A setting is unknown or has a value that it may not have."""


class CaseError(HybridwaterError):
    """A case file is not well formed."""


class WeightsError(HybridwaterError):
    """A weights or run file is damaged or belongs to another model."""


class ComponentError(HybridwaterError):
    """A component, or what it was given, cannot take part in a coupled run."""


class ComponentFailed(ComponentError):
    """A component hung, died, raised, or produced numbers that are not finite."""


class CouplingError(HybridwaterError):
    """Components and exchanges do not make a coupled run."""


class NotConverged(CouplingError):
    """An iteration between components did not come to an end."""


class LedgerError(CouplingError):
    """Water came from nowhere or went nowhere."""


class EnsembleError(HybridwaterError):
    """An ensemble is not well declared, or members of it failed."""


class MissingDependency(HybridwaterError):
    """An optional package or program is not installed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is closest to an unknown one.

    Parameters
    ----------
    name : str
        The unknown name.
    known : iterable of str
        The names that exist.

    Returns
    -------
    str
        ``"did you mean 'prcp'?"``, or a list of the known names when none is close.
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known names are {', '.join(known)}" if known else "no names are known here"
