"""Damage one file of a sweep, do with it what a user would, and see that nothing wrong succeeds.

Run by ``make damage``: 240 cases, some 15 minutes on 2 cores. A sweep is killed in mid-search on
real Ray; each case damages one file in a copy of its home, or of the home that it ends as. Then a
command either says what it says of the undamaged home, or refuses and names the damaged part; and
going on ends with exactly the undamaged sweep's numbers, or refuses. For want of a checkpoint or of
MLflow nothing is refused. Cases come from a printed seed.
"""

import argparse
import json
import random
import shutil
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from damaged_file import Damaged, choose, damage_file
from entry_point import Said
from shell import Shell, wait_until
from user import User
from victim import Tree

NAME = "damage"
SPEC = """\
name: damage
task: {kind: feature_decoder, num_features: 64, num_inputs: 16, feature_density: 0.03125}
model: {num_neurons: 64}
training: {num_steps: 1024, batch_size: 32, learning_rate: 0.02, precision: float32}
search_space: bias_and_width
baseline: {num_seeds: 2}
objective: {maximize: monosemantic_per_feature, loss_margin: 0.5}
search: {num_trials: 4}
early_stopping: {first_step: 512}
confirmation: {finalists: 1, num_seeds: 2}
compute: {cohort_size: 2, max_concurrent: 1, checkpoint_s: 0.1}
"""
# Which file is damaged, and when; how often among so many cases.
KINDS = {
    ("ledger", "killed"): 10,
    ("ledger", "ended"): 8,
    ("log", "killed"): 3,
    ("mlflow", "killed"): 2,
    ("mlflow", "ended"): 2,
    ("checkpoint", "killed"): 6,
    ("results", "killed"): 3,
    ("results", "ended"): 3,
    ("sweep file", "killed"): 3,
}
LOOKS = ("status", "best")
# By which word a refusal names what is damaged. Without the other files a sweep can go on.
WORDS = {"ledger": "ledger", "log": "ledger", "results": "results/"}
# What doctor calls it.
PARTS = {
    "ledger": "ledger",
    "mlflow": "tracking",
    "checkpoint": "checkpoints",
    "results": "storage",
}
# The cohort that is at work when the sweep is killed.
AT_WORK = "cohorts/damage/search-1"
LATER = "Install a later monosweep"


@dataclass(frozen=True)
class Answers:
    """What commands say of an undamaged home, and what its sweep came to."""

    said: dict[str, Any]
    tables: dict[str, list[dict[str, Any]]]
    told: Any
    wrong: set[tuple[str, str]]

    @classmethod
    def of(cls, home: Path) -> "Answers":
        """Ask for all of it."""
        user = User(home)
        exported, tables = user.exported(NAME)
        assert exported.code == 0, exported.err
        said = {word: json.loads(user.does(word, NAME, "--json").out) for word in LOOKS}
        return cls(said, tables, user.told(NAME), _wrong(user))


class Damage:
    """The homes that cases begin from, and what is right.

    Args:
        folder: Where everything is done.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.last = "nothing"
        self._homes = {"killed": killed(folder / "killed")}
        self._homes["ended"] = self._copy("killed", "ended")
        ended = User(self._homes["ended"]).does("resume", NAME)
        assert ended.code == 0, ended.err
        other = folder / "other.yaml"
        other.write_text(SPEC.replace("name: damage", "name: other").replace("0.02,", "0.03,"))
        self._other = User(folder / "other" / "home")
        self._other.home.mkdir(parents=True)
        begun = self._other.does("run", str(other))
        assert begun.code == 0, begun.err
        self._right = {
            moment: Answers.of(self._copy(moment, f"right-{moment}")) for moment in self._homes
        }

    def _copy(self, moment: str, name: str) -> Path:
        return Path(shutil.copytree(self._homes[moment], self._folder / name / "home"))

    def tried(self, kind: str, moment: str, seed: str) -> tuple[str, str]:
        """Damage one file and use what is left.

        Args:
            kind: Of the file.
            moment: Of the sweep: ``killed`` or ``ended``.
            seed: Decides all else.

        Returns:
            What was done to the file, and whether the sweep ``recovered`` or was ``refused``.

        Raises:
            AssertionError: If anything wrong succeeds, hangs, or is refused without a word.
            Exception: What a user would see as a traceback.
        """
        # MLflow remembers databases by their path.
        home = self._copy(moment, f"case-{kind}-{moment}-{seed}")
        try:
            (home / "damage.yaml").write_text(SPEC)
            rng = random.Random(f"{kind} {moment} {seed}")
            path, how = choose(kind, home, self._other.home, rng)
            self.last = f"{kind} {path.name} {how.__name__}"
            damaged = damage_file(path, how, rng)
            return damaged.how, self._used(User(home), kind, moment, damaged)
        finally:
            shutil.rmtree(home.parent, ignore_errors=True)

    def _used(self, user: User, kind: str, moment: str, damaged: Damaged) -> str:
        """What a user does with it; ``refused`` or ``recovered``."""
        if kind == "sweep file":
            return self._used_file(user)
        looks = self._looked(user, kind, moment)
        found = _wrong(user) - self._right[moment].wrong
        is_needed = damaged.how == "versioned" and _is_newest(damaged.path)
        resumed = user.does("resume", NAME)
        refusals = [said for said in (*looks, resumed) if said.code]
        for said in refusals:
            word = LATER if is_needed and said is resumed else WORDS.get(kind)
            assert said.code in (1, 2, 75), said
            assert word is not None and word in said.err, said
        # These leave a ledger that is whole, and does not know what else is there.
        if kind != "log" and (kind, damaged.how) != ("ledger", "swapped"):
            assert {part for part, _ in found} <= {PARTS[kind]}, f"doctor says {found}"
            assert found or not any(said.code for said in looks), f"doctor says nothing: {looks}"
        if is_needed:
            assert resumed.code == 1, "what only a later version can read was passed over"
            self._check_is_kept(user, damaged)
        if resumed.code == 0:
            self._check_end(user, exported_may_fail=kind == "results")
        return "refused" if refusals else "recovered"

    def _looked(self, user: User, kind: str, moment: str) -> list[Said]:
        """What commands say that only look; if they do, it is right."""
        right, looks = self._right[moment], []
        for word in LOOKS:
            said = user.does(word, NAME, "--json")
            looks.append(said)
            # What was lost of the log was never said to be done.
            if said.code == 0 and kind != "log":
                assert json.loads(said.out) == right.said[word], f"{word} says something else"
        exported, tables = user.exported(NAME)
        if exported.code == 0 and kind != "log":
            assert tables == right.tables, "export writes something else"
        return [*looks, exported]

    def _check_is_kept(self, user: User, damaged: Damaged) -> None:
        """What only a later version can read costs nothing once there is one."""
        assert damaged.path.read_bytes() == damaged.after, "it was touched"
        damaged.path.write_bytes(damaged.before)
        resumed = user.does("resume", NAME)
        assert resumed.code == 0, resumed.err
        self._check_end(user, exported_may_fail=False)

    def _check_end(self, user: User, *, exported_may_fail: bool) -> None:
        right = self._right["ended"]
        assert user.told(NAME) == right.told, "other values were told"
        best = json.loads(user.does("best", NAME, "--json").out)
        assert best == right.said["best"], "another verdict"
        exported, tables = user.exported(NAME)
        assert exported_may_fail or exported.code == 0, exported.err
        assert exported.code or tables == right.tables, "other numbers at the end"

    def _used_file(self, user: User) -> str:
        """A sweep of this name is there: whatever the file says, nothing is begun over it."""
        path = user.home / "damage.yaml"
        checked = user.does("validate", str(path))
        assert checked.code in (0, 2), checked.err
        if checked.code == 0 and NAME not in checked.out:
            return "recovered"  # another name, for which there is nothing to be refused
        begun = user.does("run", str(path))
        assert begun.code == 2, begun.err
        assert NAME in begun.err, begun.err
        return "refused"


def killed(folder: Path) -> Path:
    """A home whose sweep was killed in mid-search, with checkpoints of a cohort at work."""
    shell = Shell(folder / "home")
    folder.mkdir()
    (folder / "damage.yaml").write_text(SPEC)
    driver = shell.start("run", str(folder / "damage.yaml"))
    wait_until(lambda: len(list(shell.home.glob(f"{AT_WORK}/*.safetensors"))) >= 2)
    Tree(driver.process.pid).kill()
    driver.process.wait()
    return shell.home


def _is_newest(path: Path) -> bool:
    """Whether this is the checkpoint that the cohort at work would go on from."""
    return path.match(f"{AT_WORK}/*") and path == max(path.parent.glob("*.safetensors"))


def _wrong(user: User) -> set[tuple[str, str]]:
    """What doctor finds wrong: which part, and what of it."""
    said = user.does("doctor", "--json")
    report = json.loads(said.out)
    assert said.code == (0 if report["is_well"] else 1), said
    return {
        (finding["part"], finding["message"].replace(str(user.home), "HOME"))
        for finding in report["findings"]
        if not finding["is_well"]
    }


def damage(num_cases: int, seed: int, folder: Path) -> Counter[tuple[str, str, str]]:
    """Try so many cases; how many of each kind, way and end.

    Raises:
        AssertionError: If any of them is amiss, with all that are.
    """
    homes = Damage(folder)
    found: Counter[tuple[str, str, str]] = Counter()
    wrong = []
    deck = [kind for kind, share in KINDS.items() for _ in range(share)]
    random.Random(seed).shuffle(deck)
    for number in range(num_cases):
        kind, moment = deck[number % len(deck)]
        try:
            how, end = homes.tried(kind, moment, f"{seed}-{number}")
        except Exception as error:  # noqa: BLE001 - what is wrong with a case is its result
            at = traceback.extract_tb(error.__traceback__)[-1]
            wrong.append(
                f"{number} {moment} {homes.last}: {repr(error)[:600]} ({at.filename}:{at.lineno})"
            )
            print(wrong[-1], flush=True)
        else:
            found[kind, how, end] += 1
    if wrong:
        raise AssertionError("\n".join([f"{len(wrong)} of {num_cases} cases", *wrong]))
    return found


def main() -> None:
    """Damage, use, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=240)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    # MLflow may still be at work on a home that was left.
    with TemporaryDirectory(prefix="monosweep-damage-", ignore_cleanup_errors=True) as name:
        found = damage(options.cases, options.seed, Path(name))
    for (kind, how, end), count in sorted(found.items()):
        print(f"{kind:12} {how:12} {end:10} {count}")


if __name__ == "__main__":
    main()
