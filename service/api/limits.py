"""What an admin lets callers ask for: of a sweep's size, and of a server's attention."""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

from service.errors import SpecError, UserError
from service.phases import BaselinePhase, num_confirmations
from service.spec import Spec
from service.spec.fields import nearest

VARIABLE = "MONOSWEEP_LIMITS"
_ENTRY = re.compile(r"\s*([a-z_]+)\s*=\s*([0-9][0-9_.e+]*)\s*")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that callers may ask for; every number can be set in ``MONOSWEEP_LIMITS``.

    Attributes:
        trials: Search trials of a sweep.
        training_steps: Training steps of a sweep, of all its networks together.
        features: Features of a task.
        neurons: Neurons of a network.
        batch_size: Samples in a training step.
        unfinished: Sweeps in the queue that are neither finished, failed nor stopped.
        unfinished_each: The same, of one owner's.
        sweeps_each: Sweeps of one owner's that are kept, however they ended.
        body_bytes: Bytes of a request's body.
        calls_per_s: Calls that a token may make in the long run.
        strangers_per_s: The same of an address, of calls that bear no good token.
        calls_at_once: Calls that either may make at once after it made none for a while.
        calls_at_work: Calls of a token that are worked on at a time.
        streams: Event streams that a token may have open at a time.
    """

    trials: int = 10_000
    training_steps: int = 10**10
    features: int = 65_536
    neurons: int = 65_536
    batch_size: int = 65_536
    unfinished: int = 1000
    unfinished_each: int = 200
    sweeps_each: int = 2000
    body_bytes: int = 256 * 1024
    calls_per_s: int = 50
    strangers_per_s: int = 1
    calls_at_once: int = 200
    calls_at_work: int = 10
    streams: int = 100

    @classmethod
    def from_environment(cls) -> "Limits":
        """The limits that the environment sets, as ``trials=500, training_steps=1e8``.

        Raises:
            UserError: If it names none of ours, or sets one to anything but a number above 0.
        """
        text = os.environ.get(VARIABLE, "")
        return cls(**dict(_parsed(entry) for entry in text.split(",") if entry.strip()))

    def check(self, spec: Spec) -> None:
        """Make sure that a sweep is no larger than a server takes.

        Raises:
            SpecError: If it is.
        """
        beyond = [
            f"{key} must be at most {most:,} on this server, found {found:,}. Lower it, or ask its "
            f"admin ({VARIABLE})."
            for key, found, most in self._asked(spec)
            if found > most
        ]
        if beyond:
            raise SpecError("\n".join(beyond))

    def check_extension(self, spec: Spec, num_trials: int) -> None:
        """Make sure that a sweep whose search is extended is no larger than a server takes.

        Raises:
            UserError: If it would be.
        """
        for what, found, most in (
            ("num_trials", num_trials, self.trials),
            ("training steps in all", _training_steps(spec, num_trials), self.training_steps),
        ):
            if found > most:
                raise UserError(
                    f"{what} must be at most {most:,} on this server, found {found:,}. "
                    f"Lower num_trials, or ask its admin ({VARIABLE})."
                )

    def _asked(self, spec: Spec) -> Iterator[tuple[str, int, int]]:
        """What a sweep asks for: the key, how much, and how much there may be."""
        num_trials = spec.search.num_trials
        widest = spec.space.bounds("num_neurons", spec.model.num_neurons)[1]
        yield "search.num_trials", num_trials, self.trials
        yield (
            "training.num_steps times all networks",
            _training_steps(spec, num_trials),
            self.training_steps,
        )
        yield "task.num_features", spec.task.num_features, self.features
        yield "num_neurons", max(int(widest), spec.model.num_neurons), self.neurons
        yield "training.batch_size", spec.training.batch_size, self.batch_size


def _training_steps(spec: Spec, num_trials: int) -> int:
    """Steps of all networks that a sweep may train, none of them stopped early."""
    search = num_trials * spec.search.replicates
    networks = BaselinePhase(spec).num_trials + search + num_confirmations(spec)
    return networks * spec.training.num_steps


def _parsed(entry: str) -> tuple[str, int]:
    names = [field.name for field in fields(Limits)]
    match = _ENTRY.fullmatch(entry)
    if match is None or match[1] not in names:
        meant = nearest(match[1], names) if match else None
        raise UserError(
            f"{VARIABLE} must be limits such as trials=500, training_steps=1e8, found "
            f"{entry.strip()!r}. "
            + (f"Did you mean {meant}? " if meant else "")
            + f"There are: {', '.join(names)}."
        )
    try:
        number = float(match[2])
    except ValueError:
        number = math.nan
    if not (1 <= number < math.inf and number == int(number)):
        raise UserError(
            f"{VARIABLE} must set {match[1]} to a whole number above 0, found {match[2]}. Mend it."
        )
    return match[1], int(number)
