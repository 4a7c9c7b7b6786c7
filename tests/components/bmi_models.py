"""BMI models that misbehave, for tests; imported by name in other processes."""

import os
import time

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.components.template import Template


class Plain:
    """A BMI model that inherits from nothing: a bucket with an inflow, stepping by 2 h."""

    def __init__(self):
        self._values = {"rain": np.full(3, 2.0), "level": np.zeros(3)}
        self._time = 0.0

    def initialize(self, config_file):
        self._time = 0.0

    def update(self):
        self._values["level"] += self._values["rain"] * 2.0
        self._time += 2.0

    def update_until(self, time):
        while self._time < time:
            self.update()

    def finalize(self):
        pass

    def get_component_name(self):
        return "plain"

    def get_input_item_count(self):
        return 1

    def get_output_item_count(self):
        return 1

    def get_input_var_names(self):
        return ("rain",)

    def get_output_var_names(self):
        return ("level",)

    def get_var_grid(self, name):
        return 0

    def get_var_type(self, name):
        return "float64"

    def get_var_units(self, name):
        return {"rain": "mm h-1", "level": "mm"}[name]

    def get_var_itemsize(self, name):
        return 8

    def get_var_nbytes(self, name):
        return 24

    def get_var_location(self, name):
        return "node"

    def get_current_time(self):
        return self._time

    def get_start_time(self):
        return 0.0

    def get_end_time(self):
        return 1e9

    def get_time_units(self):
        return "h"

    def get_time_step(self):
        return 2.0

    def get_value(self, name, dest):
        dest[:] = self._values[name]
        return dest

    def get_value_ptr(self, name):
        return self._values[name]

    def get_value_at_indices(self, name, dest, inds):
        dest[:] = self._values[name][inds]
        return dest

    def set_value(self, name, src):
        self._values[name][:] = src

    def set_value_at_indices(self, name, inds, src):
        self._values[name][inds] = src

    def get_grid_rank(self, grid):
        return 0

    def get_grid_size(self, grid):
        return 3

    def get_grid_type(self, grid):
        return "scalar"

    def get_grid_shape(self, grid, shape):
        return shape

    def get_grid_spacing(self, grid, spacing):
        return spacing

    def get_grid_origin(self, grid, origin):
        return origin

    def get_grid_x(self, grid, x):
        return x

    def get_grid_y(self, grid, y):
        return y

    def get_grid_z(self, grid, z):
        return z

    def get_grid_node_count(self, grid):
        return 3

    def get_grid_edge_count(self, grid):
        return 0

    def get_grid_face_count(self, grid):
        return 0

    def get_grid_edge_nodes(self, grid, edge_nodes):
        return edge_nodes

    def get_grid_face_edges(self, grid, face_edges):
        return face_edges

    def get_grid_face_nodes(self, grid, face_nodes):
        return face_nodes

    def get_grid_nodes_per_face(self, grid, nodes_per_face):
        return nodes_per_face


class Backwards(Plain):
    def update(self):
        self._time -= 2.0


class Gap(Plain):
    def update(self):
        super().update()
        self._values["level"][1] = np.nan


class Raises(Plain):
    def update(self):
        raise ZeroDivisionError("no water at all")


class Hangs(Plain):
    def update(self):
        if self._time > 0:
            time.sleep(600)
        super().update()


class Dies(Plain):
    def set_value(self, name, src):
        if self._time > 0:
            os._exit(3)
        super().set_value(name, src)


class Leaks(Template):
    """Loses a hundredth of its outflow."""

    name = "leaks"

    def boundary_fluxes(self):
        fluxes = super().boundary_fluxes()
        return {n: f * (0.99 if n == "runoff_flux" else 1) for n, f in fluxes.items()}


class Forgets(Template):
    """Leaves its content out of its state."""

    name = "forgets"

    def _state_arrays(self):
        return {}


class Copies(Template):
    name = "copies"

    def get_value_ptr(self, name):
        return super().get_value_ptr(name).copy()


class StateIsView(Template):
    name = "view"

    def get_state(self):
        state = super().get_state()
        return type(state)(self._live(), state.metadata)


class BadUnits(Template):
    name = "units"
    variables = (*Template.variables, Variable("x", "bucketfuls", "out", "state", "nonsense"))


class Undeclared(Template):
    name = "undeclared"

    def boundary_fluxes(self):
        return {**super().boundary_fluxes(), "secret": np.zeros(1)}


class Stalls(Template):
    name = "stalls"

    def get_current_time(self):
        return min(super().get_current_time(), 2.0)


class OpenDoor(Template):
    name = "open-door"

    def set_value(self, name, src):
        self._values[name][:] = np.resize(src, self._values[name].shape)


class Keeps(Template):
    name = "keeps"

    def set_value(self, name, src):
        super().set_value(name, src)
        self._values[name] = src


class Consumes(Plain):
    """Takes the array that it is given as its own, and empties it."""

    def set_value(self, name, src):
        self._values[name] = src

    def update(self):
        super().update()
        self._values["rain"] *= 0.0
