"""What the neurons of one trained network do, the polysemantic ones that are left over included.

``interpret`` says it all of one network in numbers, ``finding_of`` in words,
``tables`` in columns.

Source: Jermyn et al. 2022, the claim that leftover polysemantic neurons form a low-rank
approximation of the identity over features: a correction that is the same for every feature.
"""

from trainers.interpretation.block import Block, block_of
from trainers.interpretation.finding import finding_of
from trainers.interpretation.interpretation import Interpretation, Part, interpret
from trainers.interpretation.likeness import Likeness
from trainers.interpretation.neurons import NeuronTable, Responses, neuron_table, responses_of
from trainers.interpretation.removal import Removal, removal_of, without
from trainers.interpretation.tables import COLUMNS, tables

__all__ = [
    "COLUMNS",
    "Block",
    "Interpretation",
    "Likeness",
    "NeuronTable",
    "Part",
    "Removal",
    "Responses",
    "block_of",
    "finding_of",
    "interpret",
    "neuron_table",
    "removal_of",
    "responses_of",
    "tables",
    "without",
]
