"""Finding the family of an optimizer by measurement."""

from __future__ import annotations

import numpy as np

from ilr_check.gate.subject import CannotVaryError, Subject, SubjectError
from ilr_check.gate.walk import deviation, walk
from ilr_check.optim.contracts import contracts
from ilr_check.optim.contracts.contract import Contract

LRS = (0.3, 0.11, 0.17, 0.05)


def infer(subject: Subject) -> tuple[Contract | None, str]:
    """The contract that the measured steps agree with, and how sure that is."""
    class_name = subject.title.rpartition(":")[2].lower()
    plain, decayed = [], []
    for contract in contracts().values():
        without, with_decay = _agrees(subject, contract, 0.0), _agrees(subject, contract, 0.12)
        if without:
            plain.append(contract)
        if without and with_decay:
            decayed.append(contract)
    named = contracts().get(class_name)
    if named is not None and named in decayed:
        return named, f"measured steps agree with {named.name} within rounding, and so does its name"
    if named is not None and named in plain:
        return named, f"the steps without weight decay and its name say {named.name}; weight decay does not"
    if decayed:
        return decayed[0], f"measured steps agree with {decayed[0].name} within rounding"
    if named is not None:
        return named, f"only its name says {named.name}: no measured step agrees with a known textbook"
    if plain:
        return plain[0], f"the steps without weight decay agree with {plain[0].name}; weight decay does not"
    return None, "no known family agrees with the measured steps"


def _agrees(subject: Subject, contract: Contract, weight_decay: float) -> bool:
    rng = np.random.default_rng(7)
    start = rng.normal(size=(3, 4))
    gradients = [[rng.normal(size=(3, 4))] for _ in LRS]
    trying = Subject(
        subject.factory,
        contract,
        subject.args,
        subject.names,
        {},
        subject.switches,
        subject.device,
        subject.name,
    )
    schedule = [{"lr": lr} for lr in LRS]
    try:
        walked = walk(trying, [start], gradients, schedule=schedule, lr=LRS[0], weight_decay=weight_decay)
    except (CannotVaryError, SubjectError):
        return False
    return deviation(walked, contract).ratio <= 1.0
