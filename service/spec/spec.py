"""The sweep file as typed, frozen values.

``load_spec`` and ``parse_spec`` refuse whatever does not hold, all of it at once and by line;
inside a ``Spec`` nothing needs to be checked again.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError, model_validator

from search_spaces import NAMED_SPACES, Space
from service.errors import Problem, SpecError
from service.spec.automatic import (
    MIN_STOPPED_COHORT,
    MIN_STOPPED_STEPS,
    MIN_STOPPED_TRIALS,
    MOST_STOPPED_TRIALS,
    gains_by_stopping,
)
from service.spec.conflicts import ConflictsError, conflicts_of
from service.spec.fields import nearest, refused
from service.spec.objective import ObjectiveSpec
from service.spec.objective_conflicts import objective_conflicts_of
from service.spec.parts import (
    BaselineSpec,
    ComputeSpec,
    ConfirmationSpec,
    EarlyStopping,
    EarlyStoppingSpec,
    ModelSpec,
    Name,
    SearchSpace,
    SearchSpec,
    TaskSpec,
    TrainingSpec,
)
from service.spec.problems import found, problems_of, without_wrong
from service.spec.space import RECORDED, Part, SpaceMapping
from service.spec.sweep_file import LocatedData, locate, read_text
from service.spec.yaml_values import flow, printable

_SWEEPS = Path(__file__).parents[1] / "sweeps"


def _given(baseline: Any) -> Any:
    if baseline is None:
        raise refused(
            "a mapping: every verdict is a comparison with it",
            "Leave the key out for its defaults. To search without a ceiling on the loss write "
            "objective: {loss_margin: null}.",
        )
    return baseline


class Spec(Part):
    """One sweep, as its file describes it.

    Two specs are equal where all their settings are, whatever their files look like.
    """

    name: Name = Field(
        description="The sweep's name: letters, digits, - and _.", examples=["my-sweep"]
    )
    task: TaskSpec = Field(
        description="What the network learns.",
        examples=[
            {
                "kind": "feature_decoder",
                "num_features": 256,
                "num_inputs": 32,
                "feature_density": 0.015625,
            }
        ],
    )
    model: ModelSpec = Field(description="The network.", examples=[{"num_neurons": 512}])
    training: TrainingSpec = Field(
        description="How every network is trained.",
        examples=[{"num_steps": 8192, "batch_size": 256, "learning_rate": 0.01}],
    )
    search_space: SearchSpace = Field(
        description="What the search varies: a named space, or parameters with their ranges.",
        examples=["bias_and_width"],
    )
    baseline: Annotated[BaselineSpec, BeforeValidator(_given)] = Field(
        default=BaselineSpec(), description="The reference that the search must beat."
    )
    objective: ObjectiveSpec = Field(
        description="What the search makes larger or smaller, and what it may cost.",
        examples=[{"maximize": "monosemantic_per_feature", "loss_margin": 0.02}],
    )
    search: SearchSpec = Field(
        description="How the search goes through the space.", examples=[{"num_trials": 16}]
    )
    early_stopping: EarlyStopping = Field(
        default="auto",
        description="Whether a cohort's worst trials are stopped early: null (off), a mapping that "
        "says when, or auto, which is on where it is known to save steps: one objective other than "
        f"train_s, a sampler that learns, at least {MIN_STOPPED_STEPS} steps, {MIN_STOPPED_TRIALS} "
        f"to {MOST_STOPPED_TRIALS} trials, cohorts of {MIN_STOPPED_COHORT} or more. Baseline and "
        "confirmation are always trained to the end.",
    )
    confirmation: ConfirmationSpec | None = Field(
        default=ConfirmationSpec(),
        description="How the best settings are confirmed; null where nothing is: a sweep that only "
        "wants every trial's numbers has no winner.",
    )
    compute: ComputeSpec = Field(
        default=ComputeSpec(), description="What trains side by side, and on what."
    )
    _text: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        conflicts = (*conflicts_of(self), *objective_conflicts_of(self))
        if conflicts:
            raise ConflictsError(conflicts)
        return self

    def __eq__(self, other: object) -> bool:
        """Whether all settings are equal."""
        return isinstance(other, Spec) and self.settings() == other.settings()

    def __hash__(self) -> int:
        """Hash of the settings."""
        return hash(json.dumps(self.settings(), sort_keys=True))

    @property
    def text(self) -> str:
        """The file's text as it was given."""
        return self._text

    @cached_property
    def space(self) -> Space:
        """What the search varies, with a named space made for this task and training."""
        if isinstance(self.search_space, SpaceMapping):
            return self.search_space.space()
        return NAMED_SPACES[self.search_space].build(
            feature_density=self.task.feature_density,
            num_steps=self.training.num_steps,
            learning_rate=self.training.learning_rate,
            num_neurons=self.model.num_neurons,
        )

    @cached_property
    def stopping(self) -> EarlyStoppingSpec | None:
        """When a cohort's worst trials are stopped early; None where they are not."""
        if self.early_stopping != "auto":
            return self.early_stopping
        return EarlyStoppingSpec() if gains_by_stopping(self) else None

    def settings(self) -> dict[str, Any]:
        """Everything the file says and every default, as plain values that JSON can hold."""
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], text: str) -> Self:
        """A spec from the settings that were recorded of it, whatever today's defaults are."""
        spec = cls.model_validate(dict(settings), context=RECORDED)
        spec._text = text
        return spec

    def with_name(self, name: str) -> Self:
        """The same sweep under another name; the text stays the file's.

        Raises:
            SpecError: If the name is not a simple word.
        """
        try:
            renamed = type(self).model_validate({**self.settings(), "name": name})
        except ValidationError as error:
            rule = error.errors()[0]["ctx"]
            if isinstance(rule.get("error"), ConflictsError):
                (conflict,) = rule["error"].conflicts
                raise SpecError(
                    f"{conflict.must}, found {conflict.found} (--name). {conflict.advice}"
                ) from error
            raise SpecError(
                f"A sweep's name must be {rule['must']}, found {found(name)}. "
                "Give another: --name NAME"
            ) from error
        renamed._text = self._text
        return renamed


def packaged_sweeps() -> tuple[str, ...]:
    """Names of the sweeps that come with monosweep."""
    return tuple(sorted(path.stem for path in _SWEEPS.glob("*.yaml")))


def load_spec(source: str | Path) -> Spec:
    """The sweep that a file describes.

    Args:
        source: The file's path, or the name of a packaged sweep, which goes before a file of
            that very name.

    Raises:
        SpecError: If there is no such file, or with everything in it that does not hold.
    """
    packaged = packaged_sweeps()
    if source in packaged:
        return parse_spec(read_text(_SWEEPS / f"{source}.yaml"), origin=str(source))
    path = Path(source)
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        meant = nearest(path.stem, packaged)
        raise SpecError(
            f"A sweep must be a file or the name of a packaged one ({', '.join(packaged)}), "
            f"found neither ({printable(str(source))}). "
            + (f"Did you mean {meant}?" if meant else "Check the path.")
        ) from error
    return parse_spec(text, origin=printable(str(path)))


def parse_spec(text: str, *, origin: str) -> Spec:
    """The sweep that YAML describes.

    Args:
        text: The text of a sweep file.
        origin: What to call the text in messages, such as its path.

    Raises:
        SpecError: With everything in it that does not hold, by line.
    """
    located = locate(text, origin=origin)
    try:
        spec = Spec.model_validate(located.data)
    except ValidationError as error:
        problems = [
            *located.problems,
            *problems_of(error, located, Spec),
            *_conflicts_in(without_wrong(error, located)),
        ]
        raise SpecError.of(origin, dict.fromkeys(problems)) from error
    if located.problems:
        raise SpecError.of(origin, located.problems)
    spec._text = text
    return spec


def _conflicts_in(data: LocatedData) -> list[Problem]:
    """What does not go together in ``data``, some of whose keys were taken away."""
    try:
        Spec.model_validate(data.data)
    except ValidationError as error:
        if isinstance(error.errors()[0].get("ctx", {}).get("error"), ConflictsError):
            return problems_of(error, data, Spec)
    return []


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a sweep file, in the 2020-12 dialect."""
    schema = Spec.model_json_schema()
    text = json.dumps(schema)
    for reference, definition in schema["$defs"].items():  # pydantic's names say its insides
        text = text.replace(f'/{reference}"', f'/{definition["title"]}"')
        text = text.replace(f'"{reference}": {{', f'"{definition["title"]}": {{')
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **json.loads(text),
        "title": "monosweep sweep file",
    }


def differences(old: Spec | dict[str, Any], new: Spec | dict[str, Any]) -> list[str]:
    """Where two sweeps differ, a line for each key: ``search.num_trials: 16 -> 32``.

    Args:
        old: A spec, or its settings.
        new: A spec, or its settings.
    """
    before, after = (spec.settings() if isinstance(spec, Spec) else spec for spec in (old, new))
    return list(_differences((), before, after))


_NOT_GIVEN = object()


def _differences(path: tuple[str, ...], old: Any, new: Any) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict) and len(path) < 2:
        for key in {**old, **new}:
            yield from _differences(
                (*path, key), old.get(key, _NOT_GIVEN), new.get(key, _NOT_GIVEN)
            )
        return
    before, after = ("not given" if side is _NOT_GIVEN else flow(side) for side in (old, new))
    yield f"{'.'.join(path)}: {before} -> {after}"
