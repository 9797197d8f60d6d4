"""The crash tests' signal as a real Dagster job, for `dagster job execute -f`."""

import os

from crash_company import SIGNAL, catalog_of
from crash_run import surroundings_from
from dagster import Definitions

from dagster_project.respond.jobs import build_job

job = build_job(catalog_of(os.environ["CRASH_ROLE"]).signals[SIGNAL], lambda: surroundings_from(os.environ))
defs = Definitions(jobs=[job])
