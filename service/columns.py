"""The columns of a sweep's tables: names, types, order, and what each says, with its unit.

They are a contract: other programs read them. What a column says is in its field's metadata too.
"""

from collections.abc import Mapping

import pyarrow as pa

_NETWORK = {
    "trial_id": (pa.string(), "the trial, such as search/12"),
    "replicate": (pa.int32(), "number of the network among the trial's, from 0"),
    "seed": (pa.int64(), "seed of the network"),
}
_METRICS = {
    "loss": "squared error summed over outputs, mean over 8192 held-out samples",
    "monosemantic_per_feature": "monosemantic neurons / features",
    "monosemantic_per_neuron": "monosemantic neurons / neurons",
    "feature_coverage": "features with a monosemantic neuron / features",
    "concentration_per_feature": "concentrations summed over neurons that are not dead / features",
    "num_dead": "neurons that answer to no feature alone",
    "mean_bias": "mean of the biases (hidden activation)",
    "monosemantic_per_feature_published": "monosemantic neurons / features, features shown at +1 "
    "only, as the paper does",
}
Columns = Mapping[str, tuple[pa.DataType, str]]

TRIALS: Columns = {
    "trial_id": (pa.string(), "unique in the sweep: phase/number"),
    "number": (pa.int64(), "number in its phase, from 0"),
    "phase": (pa.string(), "baseline, search or confirmation"),
    "role": (pa.string(), "whom a confirmation trial stands for; null in other phases"),
    "same_as": (pa.string(), "the trial whose result it has, if it was not trained itself"),
    "state": (pa.string(), "complete, pruned (stopped early), failed, running or waiting"),
    "reason": (pa.string(), "why it was stopped or failed; null otherwise"),
    "cohort_id": (pa.string(), "the cohort it was trained in"),
    "attempts": (pa.int64(), "how often its cohort was started"),
    "num_replicates": (pa.int64(), "networks trained, one for each seed"),
    "seeds": (pa.list_(pa.int64()), "their seeds"),
    "params.initial_bias": (pa.float64(), "added to every bias at the start (hidden activation)"),
    "params.bias_decay": (pa.float64(), "a step leaves 1 - bias_decay * learning_rate of a bias"),
    "params.learning_rate": (pa.float64(), "top of the schedule"),
    "params.num_neurons": (pa.int64(), "hidden neurons"),
    "params.nonlinearity": (pa.string(), "relu, gelu or solu"),
    "params.l1": (pa.float64(), "weight of the summed hidden activations in what is minimised"),
    "loss": (pa.float64(), _METRICS["loss"] + ", and over the networks"),
    "loss_ratio": (pa.float64(), "loss over the baseline's on the same seed, mean over seeds"),
    "feasible": (pa.bool_(), "whether a search trial keeps every limit; null in other phases"),
    "on_front": (pa.bool_(), "whether no other search trial is better in every objective"),
    **{
        name: (pa.float64(), _METRICS[name])
        for name in (
            "monosemantic_per_feature",
            "monosemantic_per_feature_published",
            "monosemantic_per_neuron",
            "feature_coverage",
            "concentration_per_feature",
            "num_dead",
            "mean_bias",
        )
    },
    "num_steps": (pa.int64(), "training steps done"),
    "train_s": (pa.float64(), "seconds of training, summed over the networks"),
    "mlflow_run_id": (pa.string(), "its run in MLflow, once all of it is there"),
}
CURVES: Columns = {
    **_NETWORK,
    "step": (pa.int64(), "training steps done: 1, 2, 4, ... and the last"),
    **{name: (pa.float64(), said) for name, said in _METRICS.items()},
}
NEURONS: Columns = {
    **_NETWORK,
    "neuron": (pa.int64(), "number of the neuron, from 0"),
    "bias": (pa.float64(), "its bias (hidden activation)"),
    "concentration": (
        pa.float64(),
        "largest response to one feature alone / sum of the responses to each; 1 is one feature",
    ),
    "feature": (pa.int64(), "the feature it answers to most, from 0; -1 if it is dead"),
    "strength": (pa.float64(), "largest response to one feature alone (hidden activation)"),
    "kind": (pa.string(), "monosemantic, polysemantic or dead"),
}
ATTEMPTS: Columns = {
    "cohort_id": (pa.string(), "the cohort"),
    "attempt": (pa.int64(), "which execution of it, from 1"),
    "worker": (pa.string(), "host and process that trained it; null if it never said so"),
    "first_step": (pa.int64(), "training steps that were done when it began"),
    "started_at": (pa.timestamp("us", tz="UTC"), "when it was handed out"),
    "ended_at": (pa.timestamp("us", tz="UTC"), "when it ended; null while it is at work"),
    "outcome": (pa.string(), "how it ended; null while it is at work"),
}


def schema(columns: Columns) -> pa.Schema:
    """The schema of a table, each field with what it says."""
    return pa.schema(
        [
            pa.field(name, kind, metadata={"description": said})
            for name, (kind, said) in columns.items()
        ]
    )


TRIALS_SCHEMA, CURVES_SCHEMA, NEURONS_SCHEMA, ATTEMPTS_SCHEMA = map(
    schema, (TRIALS, CURVES, NEURONS, ATTEMPTS)
)
