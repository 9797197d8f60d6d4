"""What tutorials teach: a sensor that asks for one run of a job for each row, here with one call in its one op."""

import json
import os
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing

from dagster import (
    DefaultSensorStatus,
    Definitions,
    OpExecutionContext,
    RunRequest,
    SensorEvaluationContext,
    job,
    op,
    sensor,
)


@op(config_schema={"entity_id": str, "body": str})
def tell(context: OpExecutionContext) -> None:
    config = context.op_config
    headers = {"content-type": "application/json", "webhook-id": config["entity_id"]}
    url = f"{os.environ['BENCH_SINK']}/hooks"
    with urllib.request.urlopen(urllib.request.Request(url, config["body"].encode(), headers), timeout=30) as reply:
        reply.read()


@job
def tell_one() -> None:
    tell()


@sensor(job=tell_one, default_status=DefaultSensorStatus.RUNNING)
def parcels_waiting(context: SensorEvaluationContext) -> Iterator[RunRequest]:
    with closing(sqlite3.connect(os.environ["BENCH_ROWS"])) as database:
        for key, entity_id in database.execute("select key, entity_id from parcels_waiting"):
            body = json.dumps({"id": key, "subject": entity_id})
            yield RunRequest(run_key=key, run_config={"ops": {"tell": {"config": {"entity_id": key, "body": body}}}})


defs = Definitions(jobs=[tell_one], sensors=[parcels_waiting])
