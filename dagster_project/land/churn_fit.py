"""Fits the churn scorecard on customers who stayed or left, read from the very model that the scoring reads."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path

from dagster_project.contracts.warehouse import WarehouseTarget
from dagster_project.land.churn_report import (
    FitReport,
    area_under_curve,
    calibration_deciles,
    wilson_interval,
)
from dagster_project.land.connection import transaction
from dagster_project.land.report import LandingError

FEATURE_MODEL = "customer_churn_features"
INTERCEPT = "intercept"
DEFAULT_THRESHOLD = 0.85
_HELD_OUT_PARTS = 5  # one part in five is held out
_SEED_COLUMNS = ("version", "feature", "coefficient", "training_mean")
_DIGITS = 6  # of a coefficient in the seed; the report judges the rounded ones, since those are what scores
_LARGEST_LOGIT = 30.0  # as in the scoring


class FitError(Exception):
    """A fit that was refused; the seed is as it was."""


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer as the feature model gives it."""

    customer_id: str
    has_left: bool
    values: tuple[float, ...]  # in the order of the features


@dataclass(frozen=True, slots=True)
class SeedRow:
    """One line of the scorecard seed."""

    version: int
    feature: str
    coefficient: float
    training_mean: float


def is_held_out(customer_id: str) -> bool:
    """Whether the customer is kept from the fit: one in five by the md5 of the id, the same at every fit."""
    digest = hashlib.md5(customer_id.encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) % _HELD_OUT_PARTS == 0


def fit_churn_scorecard(target: WarehouseTarget, output_csv: Path, threshold: float = DEFAULT_THRESHOLD) -> FitReport:
    """Fit the scorecard and append it to the seed as a new version, if it differs from the newest.

    Args:
        target: the warehouse in which dbt has built `customer_churn_features`.
        output_csv: the seed; versions that it has are kept.
        threshold: the score from which a customer is flagged, 0 to 1.

    Raises:
        FitError: the features are not there, or they hold too little to fit on; the seed is as it was.
    """
    features, customers = read_features(target)
    training = [customer for customer in customers if not is_held_out(customer.customer_id)]
    held_out = [customer for customer in customers if is_held_out(customer.customer_id)]
    _require_both_outcomes(training, "to fit on")
    _require_both_outcomes(held_out, "held out")
    earlier = read_seed(output_csv)
    rows, is_new = as_version(earlier, fit_rows(features, training))
    report = judge(features, rows, training, held_out, threshold, is_new)
    if is_new:
        write_seed(output_csv, [*earlier, *rows])
    return report


def read_features(target: WarehouseTarget) -> tuple[tuple[str, ...], list[Customer]]:
    """The features' names and every customer, ordered by id so that a fit does not depend on the warehouse's order.

    Raises:
        FitError: dbt has not built the feature model, or it is empty.
    """
    schema = target.schema
    try:
        with transaction(target) as connection:
            columns = connection.rows(
                "select lower(column_name) from information_schema.columns "
                f"where table_schema = '{schema}' and table_name = '{FEATURE_MODEL}' order by ordinal_position"
            )
            features = tuple(name for (name,) in columns if name not in ("customer_id", "has_left"))
            if not features:
                raise FitError(
                    f"{schema}.{FEATURE_MODEL} is not there; run `dbt build --select +{FEATURE_MODEL}` first"
                )
            rows = connection.rows(f"select customer_id, has_left, {', '.join(features)} from {schema}.{FEATURE_MODEL}")
    except LandingError as error:
        raise FitError(f"the features cannot be read: {error}") from error
    customers = [Customer(row[0], bool(row[1]), tuple(float(value) for value in row[2:])) for row in rows]
    return features, sorted(customers, key=lambda customer: customer.customer_id)


def fit_rows(features: Sequence[str], training: Sequence[Customer]) -> list[SeedRow]:
    """The scorecard's lines, as version 0.

    An L2-regularised logistic regression on standardised features, told in the features' own units, so that the scoring
    needs no means and spreads.
    """
    import numpy
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    values = numpy.array([customer.values for customer in training])
    outcomes = numpy.array([customer.has_left for customer in training])
    means, spreads = values.mean(axis=0), values.std(axis=0)
    varies = spreads > 0
    standard = (values[:, varies] - means[varies]) / spreads[varies]
    model = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000).fit(standard, outcomes)
    raw = numpy.zeros(len(features))
    raw[varies] = model.coef_[0] / spreads[varies]
    intercept = float(model.intercept_[0] - (raw * means).sum())
    lines = [SeedRow(0, INTERCEPT, round(intercept, _DIGITS), 0.0)]
    for feature, coefficient, mean in zip(features, raw, means, strict=True):
        lines.append(SeedRow(0, feature, round(float(coefficient), _DIGITS), round(float(mean), _DIGITS)))
    return lines


def as_version(earlier: Sequence[SeedRow], fitted: Sequence[SeedRow]) -> tuple[list[SeedRow], bool]:
    """The fitted lines under the newest version if nothing changed, else under the next; and whether that is new."""
    newest = max((row.version for row in earlier), default=0)
    known = {(row.feature, row.coefficient, row.training_mean) for row in earlier if row.version == newest}
    is_new = known != {(row.feature, row.coefficient, row.training_mean) for row in fitted}
    version = newest + 1 if is_new else newest
    return [SeedRow(version, row.feature, row.coefficient, row.training_mean) for row in fitted], is_new


def score(features: Sequence[str], coefficients: dict[str, float], customer: Customer) -> float:
    """The probability that the scoring model gives the customer."""
    logit = coefficients[INTERCEPT] + sum(
        coefficients[feature] * value for feature, value in zip(features, customer.values, strict=True)
    )
    return 1 / (1 + exp(-max(-_LARGEST_LOGIT, min(_LARGEST_LOGIT, logit))))


def judge(
    features: Sequence[str],
    rows: Sequence[SeedRow],
    training: Sequence[Customer],
    held_out: Sequence[Customer],
    threshold: float,
    is_new: bool,
) -> FitReport:
    """The scorecard's quality on the held-out customers, by the coefficients as the seed holds them."""
    coefficients = {row.feature: row.coefficient for row in rows}
    scores = [score(features, coefficients, customer) for customer in held_out]
    outcomes = [customer.has_left for customer in held_out]
    flagged = [left for value, left in zip(scores, outcomes, strict=True) if value >= threshold]
    precision = wilson_interval(sum(flagged), len(flagged)) if flagged else None
    base_rate = sum(outcomes) / len(outcomes)
    stayed = [customer for customer in (*training, *held_out) if not customer.has_left]
    return FitReport(
        version=rows[0].version,
        is_new_version=is_new,
        training_customers=len(training),
        held_out_customers=len(held_out),
        held_out_auc=area_under_curve(scores, outcomes),
        base_rate=base_rate,
        calibration=calibration_deciles(scores, outcomes),
        threshold=threshold,
        held_out_flagged=len(flagged),
        precision=precision,
        lift=precision.share / base_rate if precision else None,
        active_flagged=sum(score(features, coefficients, customer) >= threshold for customer in stayed),
        coefficients=coefficients,
        constant_features=tuple(
            feature
            for index, feature in enumerate(features)
            if len({customer.values[index] for customer in training}) == 1
        ),
    )


def read_seed(path: Path) -> list[SeedRow]:
    """The seed's lines, none if there is no seed yet.

    Raises:
        FitError: the seed is not one that a fit has written.
    """
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != _SEED_COLUMNS:
            raise FitError(
                f"{path} has the columns {reader.fieldnames}, expected {list(_SEED_COLUMNS)}; it was left as it is"
            )
        try:
            return [
                SeedRow(int(line["version"]), line["feature"], float(line["coefficient"]), float(line["training_mean"]))
                for line in reader
            ]
        except (TypeError, ValueError) as error:
            raise FitError(f"{path} line {reader.line_num}: {error}; it was left as it is") from error


def write_seed(path: Path, rows: Sequence[SeedRow]) -> None:
    """Write the seed whole beside its place and move it there, so that a reader never sees half of it."""
    beside = path.with_suffix(".csv.incoming")
    with beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_SEED_COLUMNS)
        writer.writerows((row.version, row.feature, row.coefficient, row.training_mean) for row in rows)
    beside.replace(path)


def _require_both_outcomes(customers: Sequence[Customer], purpose: str) -> None:
    left = sum(customer.has_left for customer in customers)
    if not left or left == len(customers):
        raise FitError(
            f"of {len(customers)} customers {purpose} {left} have left; a scorecard needs some who left and some who "
            "stayed. Land customers whose outcome is known and build the feature model. The seed is as it was."
        )
