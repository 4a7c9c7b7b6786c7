"""What happens when something goes wrong: stand-ins for components that fail."""

from __future__ import annotations

import datetime as dt
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hybridwater.components.base import Component, State
from hybridwater.coupling.clock import Participant, until_seconds
from hybridwater.coupling.link import Link
from hybridwater.errors import ComponentError, ComponentFailed, CouplingError, nearest


@dataclass(frozen=True, eq=False)
class StandIn:
    """What takes the place of a component in the middle of a run, and goes on with its water.

    Parameters
    ----------
    component : Component
        Has the ports of the other one, and ``take_over``; it is initialized by the coupled model.
    at : str or date, optional
        From when on it is in that place: the end of the coupling step that reaches this date. A
        duration counts from the start of the run.
    on_failure : bool
        Whether it steps in when the other one fails.
    """

    component: Component
    at: str | dt.date | None = None
    on_failure: bool = True


class Watch:
    """Sees to it that a component is replaced by its stand-in when that is due.

    Parameters
    ----------
    participant : Participant
        The component.
    stand_in : StandIn
        Initialized.
    configuration : str
        What the component was initialized with.
    origin : datetime or None
        Date of time zero.
    """

    def __init__(
        self,
        participant: Participant,
        stand_in: StandIn,
        configuration: str,
        origin: dt.datetime | None,
    ) -> None:
        self.participant, self.stand_in, self._file = participant, stand_in, configuration
        self.replaced = participant.component
        at = stand_in.at
        self.at = float("inf") if at is None else until_seconds(at, origin, 0.0)

    @property
    def used(self) -> bool:
        """Whether the stand-in is in place."""
        return self.participant.component is self.stand_in.component

    def step_in(self) -> None:
        """Let the stand-in go on where the component is."""
        hand_over(self.participant, self.stand_in.component)

    def over(self, step: Callable[[], None]) -> None:
        """Do a step; if it fails, put the stand-in where the component was, and do it again.

        Warns
        -----
        UserWarning
            If the stand-in is used.
        """
        if self.used:
            step()
            return
        last = self.participant.component.get_state()
        try:
            step()
        except ComponentFailed as error:
            self._go_back(last)
            self.step_in()
            warnings.warn(
                f"The stand-in of '{self.participant.name}' goes on in its place from "
                f"{self.participant.time:g} s. {error}",
                stacklevel=2,
            )
            step()

    def _go_back(self, state: State) -> None:
        """Bring the component that failed to where it was, in a new process if its own died."""
        try:
            self.participant.set_state(state)
        except ComponentError:
            self.participant.component.initialize(self._file)
            self.participant.set_state(state)


class StandIns:
    """The stand-ins of a coupled run.

    Parameters
    ----------
    participants : mapping of str to Participant
        Components by name.
    stand_ins : mapping of str to StandIn or Component
        By the name of the component that they stand in for; initialized here.
    configurations : mapping of str to str
        What the components were initialized with.
    origin : datetime or None
        Date of time zero.

    Raises
    ------
    CouplingError
        If there is no such component, or one of the two cannot do what is needed.
    """

    def __init__(
        self,
        participants: Mapping[str, Participant],
        stand_ins: Mapping[str, StandIn | Component],
        configurations: Mapping[str, str],
        origin: dt.datetime | None,
    ) -> None:
        self._participants = participants
        self._watches: dict[str, Watch] = {}
        for name, entry in stand_ins.items():
            if name not in participants:
                raise CouplingError(
                    f"There is no component '{name}' ({nearest(name, participants)}).", "stand_ins"
                )
            stand_in = entry if isinstance(entry, StandIn) else StandIn(entry)
            stand_in.component.initialize("")
            refuse_unable(name, stand_in.component)
            if stand_in.on_failure and not participants[name].component.has_state:
                raise CouplingError(
                    f"The component '{name}' has no state that a stand-in could go on from.",
                    "stand_ins",
                    "Give it get_state and set_state, or leave out its stand-in",
                )
            file = configurations.get(name, "")
            self._watches[name] = Watch(participants[name], stand_in, file, origin)
        self.put_in: dict[str, str] = {}  # by `put`: what is called what is in whose place
        self._put: list[Component] = []
        self._dated = {name: w for name, w in self._watches.items() if math.isfinite(w.at)}

    def items(self) -> Iterator[tuple[str, Component]]:
        """Yield names and stand-ins."""
        for name, watch in self._watches.items():
            yield name, watch.stand_in.component

    def components(self) -> Iterator[Component]:
        """Yield all stand-ins, and what was put in the place of a component."""
        yield from (component for _, component in self.items())
        yield from self._put

    def watch(self, name: str) -> Watch | None:
        """Return the watch over a component that is replaced if it fails, or None."""
        watch = self._watches.get(name)
        return watch if watch is not None and watch.stand_in.on_failure else None

    def dates(self) -> list[tuple[str, float]]:
        """Return which components are replaced at a time [s]."""
        return [(name, watch.at) for name, watch in self._dated.items()]

    def step_in(self, now: float) -> float:
        """Replace what is to be replaced by now [s]; return when the next one is, or infinity."""
        following = math.inf
        for watch in self._dated.values():
            if watch.at > now:
                following = min(following, watch.at)
            elif not watch.used:
                watch.step_in()
        return following

    @property
    def used(self) -> list[str]:
        """Names of the components whose stand-in is in their place."""
        return [name for name, watch in self._watches.items() if watch.used]

    def use(self, names: Sequence[str], put_in: Mapping[str, str]) -> None:
        """Put in place what was there when a checkpoint was written that is resumed.

        Parameters
        ----------
        names : sequence of str
            As `used` was.
        put_in : mapping of str to str
            As `put_in` was.

        Raises
        ------
        CouplingError
            If there is no such stand-in, or other components were replaced on purpose.
        """
        for name in sorted({*put_in, *self.put_in}):
            there, here = put_in.get(name), self.put_in.get(name)
            if there is not None and there != here:
                raise CouplingError(
                    f"In the checkpoint '{there}' was put in the place of '{name}', and here it "
                    "was not.",
                    "resume",
                    f"Do so first, with the same component: model.replace('{name}', ...)",
                )
            if there is None:
                raise CouplingError(
                    f"'{here}' was put in the place of '{name}', and in the checkpoint it was not.",
                    "resume",
                    "Resume in a model in which that component was not replaced",
                )
        for name in names:
            if name not in self._watches:
                raise CouplingError(
                    f"In the checkpoint a stand-in is in the place of '{name}', and this case has "
                    "none.",
                    "resume",
                    f"Declare it: stand_ins = {{'{name}': ...}}",
                )
        for name, watch in self._watches.items():
            if watch.used != (name in names):
                stands = name in names
                watch.participant.use(watch.stand_in.component if stands else watch.replaced)

    def put(self, name: str, component: Component, links: Sequence[Link]) -> None:
        """Put a component in the place of another on purpose."""
        component.initialize("")
        self._put.append(component)
        refuse_unable(name, component)
        participant = self._participants[name]
        for link in links:
            for end, variable in ((link.source, link.given), (link.target, link.taken)):
                if end is participant and component.variable(variable.name).units != variable.units:
                    raise CouplingError(
                        f"'{variable.name}' is in '{component.variable(variable.name).units}' and "
                        f"not in '{variable.units}'.",
                        f"component '{name}', exchange '{link.label}'",
                        "Replace a component by one with the same ports",
                    )
        hand_over(participant, component)
        self.put_in[name] = component.get_component_name()


def hand_over(participant: Participant, successor: Component) -> None:
    """Let a component go on where another is, and use it from now on."""
    successor.take_over(participant.component)  # type: ignore[attr-defined]
    participant.use(successor)


def refuse_unable(name: str, component: Component) -> None:
    """Refuse a component that cannot go on where another was."""
    if not callable(getattr(component, "take_over", None)):
        raise CouplingError(
            f"'{component.get_component_name()}' cannot go on in the place of '{name}': it has no "
            "take_over.",
            f"component '{name}'",
            "Use a surrogate, or write take_over(component), which takes time, values and water",
        )
