"""How a fit shows itself in a notebook: skill, hydrograph, learned terms."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from hybridwater.errors import HybridwaterError
from hybridwater.report.files import as_image
from hybridwater.report.fitted import Story

if TYPE_CHECKING:
    import pandas as pd

    from hybridwater.training import Surrogate

#: Basins that are simulated to choose the one that is shown.
_MOST = 20


def fit_as_html(surrogate: Surrogate) -> str:
    """Show a fit: its skill, a hydrograph, and every network as curves.

    Of many basins the first are simulated, and the one of median skill is shown. A fit that was
    loaded from a directory does not know its data; it shows its parameters.

    Parameters
    ----------
    surrogate : Surrogate
        The fit.

    Returns
    -------
    str
        HTML with the pictures inside.
    """
    head = f"<p>{html.escape(repr(surrogate))}</p>"
    if surrogate.data is None:
        return "\n".join([head, *_parameters(surrogate)])
    try:
        data = surrogate.with_basins(surrogate.data).isel(basin=slice(_MOST))
        story = Story(surrogate, data, None)
        scores = story.scored.loc[story.basin]
        story.hydrographs()
        story.learned()
    except HybridwaterError as error:
        return "\n".join([head, f"<p>{html.escape(str(error))}</p>"])
    figures = story.figures
    names = [f"hydrograph_{flux}" for flux in surrogate.observed]
    shown = [figures.get(f"{name}_year", figures.get(name)) for name in names]
    shown += [figure for name, figure in figures.items() if name.startswith("learned_")]
    images = [as_image(figure) for figure in shown if figure is not None]
    return "\n".join([head, f"<p>Basin {html.escape(story.basin)}</p>", _table(scores), *images])


def _parameters(surrogate: Surrogate) -> list[str]:
    table = surrogate.parameter_table()
    values = table.to_dataframe().T.rename_axis("parameter")
    values.insert(0, "unit", [table[n].attrs["units"] for n in values.index])
    told = "To see what it simulates: simulate(forcing), or report(path, data)."
    return [_table(values), f"<p>{told}</p>"]


def _table(frame: pd.DataFrame) -> str:
    return frame.to_html(float_format=lambda v: f"{v:.3g}", na_rep="")
