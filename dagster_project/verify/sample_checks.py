"""The asset check on what samples found: records are as the loop wrote them, or somebody changed them since."""

from __future__ import annotations

import json
from datetime import timedelta

from dagster import AssetCheckResult, AssetChecksDefinition, AssetKey, MetadataValue, asset_check

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.ledger.samples import AGAINST, VERDICTS, newest_verdicts
from dagster_project.verify.action_checks import NAMED, GetDatabase

WINDOW = timedelta(days=14)  # two weekly samples
MATCHING_SHARE = 0.98  # of the records that could be read back


def build_sample_check(signal: CatalogSignal, key: AssetKey, database: GetDatabase) -> AssetChecksDefinition:
    """The check `samples_match` on `actions/<signal>`: a person's verdict on a record goes before the loop's own.

    Parameters: the signal; the asset that stands for its actions; how to get at the ledger when the check runs.
    """

    @asset_check(asset=key, name="samples_match", description="Records read back are as the loop wrote them.")
    def samples_match() -> AssetCheckResult:
        ledger = database()
        with ledger.reading() as connection:
            rows = newest_verdicts(connection, signal.name, ledger.now() - WINDOW)
        verdicts = [row.person_verdict or row.verdict for row in rows]
        counts = {name: verdicts.count(name) for name in VERDICTS}
        wrong = [row for row, verdict in zip(rows, verdicts, strict=True) if verdict in AGAINST]
        read = len(rows) - counts["unreadable"]
        share = 1.0 - len(wrong) / read if read else 1.0
        return AssetCheckResult(
            passed=share >= MATCHING_SHARE,
            metadata={
                "match_rate": share,
                "read_back": read,
                **counts,
                "late": sum(row.is_in_time is False for row in rows),
                "rows": MetadataValue.json(
                    [
                        f"{row.step} at {row.destination}, action {row.action_id}: "
                        f"{row.person_verdict or row.verdict}. {'; '.join(json.loads(row.findings_json))}"
                        for row in wrong[:NAMED]
                    ]
                ),
            },
        )

    return samples_match
