"""A queue under everything that may happen to it: drivers, machines and users come and go."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from service.dispatch.decisions import Case, decide, failure_of
from service.dispatch.jobs import JobState
from service.ledger import SweepRecord
from service.ledger.queue import Entry
from service.ledger.unsettled import Unsettled

LIMIT = 2
LEASE_S = 30.0
NAMES = ("a1", "a2", "a3", "b1")
MakeEntry = Callable[..., Entry]
MakeRecord = Callable[..., SweepRecord]


@dataclass
class Driver:
    """A driver as it really is; ``job`` is what the cluster says of it."""

    job: JobState | None
    has_lease: bool = False
    is_alive: bool = True


class World:
    """Sweeps, their drivers and a clock; the queue's rules as ``ledger.queue`` has them."""

    def __init__(self, make_entry: MakeEntry, make_record: MakeRecord) -> None:
        self.now = 1000.0
        self.entries = {name: make_entry(sweep=name, owner=name[0]) for name in NAMES}
        self.records = {name: make_record(name=name) for name in NAMES}
        self.drivers: dict[str, Driver] = {}
        self.lease_until: dict[str, float] = {}

    def cases(self) -> list[Case]:
        return [
            Case(
                Unsettled(
                    entry,
                    replace(self.records[name], is_live=self.is_live(name)),
                    self.lease_until.get(name),
                    self.now,
                ),
                self.drivers[name].job if name in self.drivers else None,
            )
            for name, entry in self.entries.items()
            if self.records[name].finished_at is None
        ]

    def is_live(self, name: str) -> bool:
        return self.lease_until.get(name, 0.0) > self.now

    def look(self) -> None:
        """What the reconciler does with what is decided."""
        decisions = decide(self.cases(), LIMIT)
        for case in decisions.settle:
            failure = failure_of(case, has_results=False)
            self.change(
                case.entry.sweep,
                num_failures=failure.num_before + 1,
                next_start_at=self.now + failure.pause_s,
                problem=failure.problem,
            )
        for case in decisions.stop:
            # In good order: the lease is given back.
            self.ends(case.entry.sweep, 75, leaves_lease=False)
        for entry in decisions.start:
            self.start(entry.sweep)
        self.check()

    def start(self, name: str) -> None:
        assert self.entries[name].is_wanted
        assert not self.is_live(name)
        assert name not in self.drivers or not self.drivers[name].is_alive
        number = self.entries[name].num_starts + 1
        self.change(name, job_id=f"{name}-{number}", started_at=self.now, num_starts=number)
        self.drivers[name] = Driver(JobState("pending", None, None))

    def check(self) -> None:
        alive = [name for name, driver in self.drivers.items() if driver.is_alive]
        assert len(alive) <= LIMIT

    def change(self, name: str, **values: object) -> None:
        self.entries[name] = replace(self.entries[name], **values)  # type: ignore[arg-type]

    def works(self, name: str) -> None:
        """A driver that was started takes the lease, or renews it."""
        driver = self.drivers.get(name)
        if driver is not None and driver.is_alive:
            driver.job = JobState("running", None, None)
            driver.has_lease = True
            self.lease_until[name] = self.now + LEASE_S

    def ends(self, name: str, exit_code: int | None, *, leaves_lease: bool) -> None:
        driver = self.drivers.get(name)
        if driver is None or not driver.is_alive:
            return
        driver.is_alive = False
        driver.job = JobState("ended", exit_code, "because")
        if not leaves_lease:
            self.lease_until.pop(name, None)

    def head_dies(self) -> None:
        """And with it all drivers; the next head knows nothing of them."""
        for driver in self.drivers.values():
            driver.is_alive, driver.job = False, None

    def finishes(self, name: str) -> None:
        driver = self.drivers.get(name)
        if driver is not None and driver.is_alive and driver.has_lease:
            self.records[name] = replace(self.records[name], finished_at=self.now)
            self.ends(name, 0, leaves_lease=False)

    def stop(self, name: str) -> None:
        self.change(name, is_wanted=False)

    def want(self, name: str) -> None:
        self.change(
            name,
            is_wanted=True,
            submitted_at=self.now,
            next_start_at=self.now,
            num_failures=0,
            problem=None,
        )


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["look", "look", "works", "killed", "cut off", "refuses", "head", "stop", "want", "end"]
        ),
        st.sampled_from(NAMES),
        st.sampled_from([0.0, 1.0, 7.0, 40.0]),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_whatever_happens_each_sweep_has_one_driver_and_reaches_its_end(
    make_entry: MakeEntry, make_record: MakeRecord, events: list[tuple[str, str, float]]
) -> None:
    """That only wanted sweeps are started, one driver each and in all so many, ``World`` checks."""
    world = World(make_entry, make_record)
    for event, name, seconds in events:
        happens = {
            "look": world.look,
            "works": lambda name=name: world.works(name),
            "killed": lambda name=name: world.ends(name, -9, leaves_lease=False),
            "cut off": lambda name=name: world.ends(name, None, leaves_lease=True),
            "refuses": lambda name=name: world.ends(name, 2, leaves_lease=False),
            "head": world.head_dies,
            "stop": lambda name=name: world.stop(name),
            "want": lambda name=name: world.want(name),
            "end": lambda name=name: world.finishes(name),
        }
        happens[event]()
        world.now += seconds
    stopped = {name for name in NAMES if not world.entries[name].is_wanted}
    given_up = {name for name in NAMES if world.entries[name].next_start_at == float("inf")}
    num_starts = Counter({name: world.entries[name].num_starts for name in stopped})
    # From now on nothing goes wrong any more.
    for _ in range(40):
        world.look()
        for name in NAMES:
            world.works(name)
        world.now += 20.0
        for name in NAMES:
            world.finishes(name)
    finished = {name for name in NAMES if world.records[name].finished_at is not None}
    assert finished >= set(NAMES) - stopped - given_up
    assert Counter({name: world.entries[name].num_starts for name in stopped}) == num_starts
