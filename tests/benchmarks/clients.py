"""Many clients of one server at once: what each does, what it is answered, and in what time."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

# Of what is submitted, so many parts are sent again on purpose, broken off, and left in the queue.
REPEATED, BROKEN_OFF, LEFT = 0.3, 0.3, 0.2
# When a connection is broken off: before the server has read it all, or while it is at work.
SOONEST_S, LATEST_S = 0.0, 0.2
PATIENCE_S = 60.0

SPEC = """\
name: {name}
task: {{kind: feature_decoder, num_features: 64, num_inputs: 16, feature_density: 0.03125}}
model: {{num_neurons: 64}}
training: {{num_steps: 256, batch_size: 32, learning_rate: 0.02}}
search_space: bias_and_width
objective: {{maximize: monosemantic_per_feature, loss_margin: 0.5}}
search: {{num_trials: 4}}
"""


@dataclass
class Seen:
    """What all clients saw, together.

    Attributes:
        seconds: How long calls took, by what was called.
        statuses: Answers by what was called, and their status.
        news: For each key how often a submission was told to be new.
        told: For each key the sweep that it was told to be.
        delays_s: From asking for a stop until the stream told of it.
        num_repeated: Submissions sent again although they had been answered.
        num_broken_off: Submissions whose connection was closed before the answer.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    news: Counter[str] = field(default_factory=Counter)
    told: dict[str, str] = field(default_factory=dict)
    delays_s: list[float] = field(default_factory=list)
    num_repeated: int = 0
    num_broken_off: int = 0


def work(url: str, tokens: Sequence[str], seconds: float, prefix: str = "c") -> Seen:
    """Have a client for each token submit, list, show, follow and stop sweeps for so long.

    Args:
        url: The server's.
        tokens: One for each.
        seconds: How long each begins anew; what it has begun it ends.
        prefix: What the names of their sweeps begin with.
    """
    seen = Seen()

    async def all_of_them() -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(
            *(
                _Client(url, token, f"{prefix}{number}", seen).work(until)
                for number, token in enumerate(tokens)
            )
        )

    asyncio.run(all_of_them())
    return seen


class _Client:
    def __init__(self, url: str, token: str, name: str, seen: Seen) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"{url}/v1/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=PATIENCE_S,
            trust_env=False,
        )
        self._name, self._seen, self._draws = name, seen, random.Random(name)

    async def work(self, until: float) -> None:
        async with self._http:
            number = 0
            while time.monotonic() < until:
                sweep = f"{self._name}-{number}"
                number += 1
                await self._submit(sweep)
                await self._call("list", "GET", "sweeps")
                await self._call("show", "GET", f"sweeps/{sweep}")
                await self._follow(sweep)

    async def _submit(self, sweep: str) -> None:
        if self._draws.random() < BROKEN_OFF:
            patience_s = self._draws.uniform(SOONEST_S, LATEST_S)
            try:
                await asyncio.wait_for(self._send(sweep), patience_s)
            except TimeoutError:
                self._seen.num_broken_off += 1
        while sweep not in self._seen.told:
            await self._send(sweep)
        if self._draws.random() < REPEATED:
            self._seen.num_repeated += 1
            await self._send(sweep)

    async def _send(self, sweep: str) -> None:
        # The key is the sweep's name: no two submissions have the same one.
        answer = await self._call(
            "submit",
            "POST",
            "sweeps",
            json={"spec": SPEC.format(name=sweep)},
            headers={"Idempotency-Key": sweep},
        )
        if answer.is_success:
            self._seen.news[sweep] += answer.status_code == 201
            self._seen.told[sweep] = answer.json()["name"]

    async def _follow(self, sweep: str) -> None:
        """Follow a sweep until it is stopped; or leave stream and sweep alone half-way."""
        is_left = self._draws.random() < LEFT
        with self._timed("follow") as began:
            async with self._http.stream("GET", f"sweeps/{sweep}/events") as stream:
                self._seen.statuses["follow", stream.status_code] += 1
                lines = stream.aiter_lines()
                await anext(lines, None)
                began.is_over()
                if is_left or not stream.is_success:
                    return
                asked = time.monotonic()
                await self._call("stop", "POST", f"sweeps/{sweep}/stop")
                async for line in lines:
                    if line.startswith("data: ") and '"stage": "stopped"' in line:
                        self._seen.delays_s.append(time.monotonic() - asked)
                        break

    async def _call(self, what: str, method: str, path: str, **options: Any) -> httpx.Response:
        with self._timed(what):
            answer = await self._http.request(method, path, **options)
        self._seen.statuses[what, answer.status_code] += 1
        if answer.status_code == 429:
            await asyncio.sleep(float(answer.headers["Retry-After"]))
        return answer

    @contextmanager
    def _timed(self, what: str) -> Iterator["_Time"]:
        timed = _Time(self._seen.seconds[what])
        yield timed
        timed.is_over()


class _Time:
    """Seconds from now until it is over, told once."""

    def __init__(self, told: list[float]) -> None:
        self._told: list[float] | None = told
        self._began = time.monotonic()

    def is_over(self) -> None:
        if self._told is not None:
            self._told.append(time.monotonic() - self._began)
        self._told = None
