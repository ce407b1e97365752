"""What was changed in place, which SQLite does not notice, is refused by name."""

import pytest

from service.errors import LedgerAwayError, LedgerError
from service.ledger import Ledger, Writer, take
from service.status import status


def change(ledger: Ledger, statement: str) -> None:
    with ledger.engine.begin() as connection:
        assert connection.exec_driver_sql(statement).rowcount > 0


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE monosweep_results SET metrics = replace(metrics, '1.0', '1.5')",
            "the row of baseline/0 changed",
        ),
        ("UPDATE monosweep_results SET num_steps = 257", "the row of baseline/0 changed"),
        (
            "UPDATE monosweep_results SET trial_id = 'baseline/7' WHERE trial_id = 'baseline/0'",
            "changed",
        ),
        ("UPDATE monosweep_sweeps SET num_trials = 5", "the row of tiny changed"),
        ("UPDATE monosweep_sweeps SET verdict = '{}'", "the row of tiny changed"),
        ("UPDATE monosweep_sweeps SET checksum = NULL", "the row of tiny changed"),
        ("DELETE FROM monosweep_results", "the result of baseline/0 changed"),
        ("DELETE FROM monosweep_attempts", "the attempts of baseline-0 changed"),
        ("UPDATE studies SET study_name = 'tinz' WHERE study_name = 'tiny/baseline'", "baseline/0"),
        ("UPDATE trials SET number = 9 WHERE number = 0", "the numbers of baseline's trials"),
        (
            "UPDATE trial_user_attributes SET value_json = '[9]' WHERE key = 'seeds'",
            "the trial baseline/0 changed",
        ),
        (
            "UPDATE trial_user_attributes SET value_json = '\"x-1\"' WHERE key = 'cohort_id'",
            "the trial baseline/0 changed",
        ),
        ("UPDATE trial_params SET param_value = param_value / 2", "the trial search/0 changed"),
        # What Optuna cannot read was a traceback.
        ("UPDATE trial_user_attributes SET value_json = '{'", "trials of the study tiny/baseline"),
        ("UPDATE trial_user_attributes SET key = 'x' WHERE key = 'role'", "the trial baseline/0"),
        ("UPDATE trials SET state = 'COMPLETF'", "trials of the study tiny/baseline"),
        ("UPDATE trial_params SET distribution_json = '{}'", "trials of the study tiny"),
        # Neither is a database that does not answer: nobody is to wait for it.
        ("UPDATE trial_user_attributes SET value_json = CAST(x'ff41' AS TEXT)", "to UTF-8"),
        ("ALTER TABLE trials RENAME COLUMN state TO stata", "no such column"),
    ],
)
def test_what_was_changed_in_place_is_refused(
    interrupted: Ledger, statement: str, found: str
) -> None:
    status(interrupted, "tiny")
    if statement.startswith("ALTER"):
        with interrupted.engine.begin() as connection:
            connection.exec_driver_sql(statement)
    else:
        change(interrupted, statement)
    with pytest.raises(LedgerError, match=found) as refused:
        status(interrupted, "tiny")
    assert not isinstance(refused.value, LedgerAwayError)
    assert "copy" in str(refused.value)


def test_what_is_changed_cannot_be_written_over(interrupted: Ledger, tiny_writer: Writer) -> None:
    """A new checksum would make it look right."""
    change(interrupted, "UPDATE monosweep_sweeps SET num_trials = 5")
    tiny_writer._lease = take(interrupted.engine, "tiny")
    with pytest.raises(LedgerError, match="the row of tiny changed"):
        tiny_writer.enter_phase("search")
