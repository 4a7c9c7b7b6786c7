"""What the case file of a fit may say: the keys of every table, and what each must hold."""

from __future__ import annotations

from hybridwater.cases import checks
from hybridwater.cases.checks import Check

STAGE: dict[str, Check] = {
    "kind": checks.text,
    "epochs": checks.whole,
    "learning_rate": checks.number,
    "network_rate": checks.number,
    "window": checks.whole,
    "batch": checks.whole,
    "optimiser": checks.text,
}

FIT: dict[str, Check] = {
    "observed": checks.texts,
    "train": checks.period,
    "validation": checks.either(checks.period, checks.fraction),
    "test": checks.period,
    "warmup": checks.whole,
    "begin": checks.text,
    "loss": checks.either(checks.text, checks.weights),
    "restarts": checks.whole,
    "share": checks.text,
    "attributes": checks.names,
    "attribute_hidden": checks.wholes,
    "dropout": checks.number,
    "assess_every": checks.whole,
    "patience": checks.whole,
    "seed": checks.whole,
}

SOLVER: dict[str, Check] = {
    "engine": checks.text,
    "method": checks.text,
    "substeps": checks.whole,
    "rtol": checks.number,
    "atol": checks.number,
    "max_steps": checks.whole,
    "interpolation": checks.text,
    "precision": checks.text,
}

OUTPUT: dict[str, Check] = {"directory": checks.text, "report": checks.flag, "basin": checks.text}

#: Of the component that is to be emulated.
COMPONENT: dict[str, Check] = {
    "name": checks.text,
    "config": checks.text,
    "inputs": checks.text,
    "attributes": checks.text,
}
PORT: Check = checks.either(checks.text, checks.number)

TABLES = ("model", "data", "fit", "solver", "output", "ensemble")
