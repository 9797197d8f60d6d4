"""Writes the two files of a new signal, complete and explained: an analyst only changes what is theirs."""

from __future__ import annotations

import re
from pathlib import Path

from dagster_project.contracts.signal import NAME_PATTERN

SQL = """\
-- Who is in the condition now: one row for each {entity}. A row that leaves means that it is over.
with flagged as (
    select * from {{{{ ref('{model}') }}}}
    where 1 = 0 -- your condition
)

select
    cast({entity}_id as {{{{ dbt.type_string() }}}}) as entity_id, -- never null, never twice
    'medium' as severity, -- low, medium, high or critical
    cast(null as double precision) as score, -- a number, or null
    'Say what is wrong and what to do.' as reason, -- a sentence that a person can act on
    {{{{ utc_moment('loaded_at') }}}} as observed_at -- the moment the data is from; it says its zone
from flagged
"""

YML = """\
# yaml-language-server: $schema=../../../../schemas/signal.schema.json
version: 2

models:
  - name: {name}
    description: "Say in one sentence who is flagged."
    config:
      tags: [signal]
      meta:
        signal:
          entity: {entity} # what entity_id identifies
          population: {model} # the model that the guards' shares are of; it must stand above this model
          lifecycle: state # state: a row leaves when it is over; occurrence: it happens once
          mode: shadow # everything is planned and shown, nothing is sent; `loopctl go-live {name}` when it looks right
          owner: team:{domain} # who answers for it
          classification: [] # for example critical, pii
          fresh_within: {{hours: 26}} # how old the data may be
          act_within: {{hours: 4}} # from the build to the last required step
          playbook: notify_owner # what is done; see dagster_project/respond/playbooks
          parameters:
            channel: "#signals"
            # fields of the event, and row.<column> for your own columns; raw and endraw keep dbt from filling them in
            message: "{{% raw %}}{{{{ event.entity_id }}}}: {{{{ event.reason }}}}{{% endraw %}}"
          guards: # a larger wave waits for a person
            opened: {{count: 100, share: 0.1}}
            resolved: {{count: 100, share: 0.1}}
    columns:
      - {{name: entity_id, data_type: text, description: "The {entity}.", data_tests: [not_null, unique]}}
      - name: severity
        data_type: text
        description: "What makes it low, medium, high or critical."
        data_tests:
          - accepted_values: {{arguments: {{values: [low, medium, high, critical]}}}}
      - {{name: score, data_type: double precision, description: "What the number is; null where there is none."}}
      - {{name: reason, data_type: text, description: "What is wrong and what to do.", data_tests: [not_null]}}
      - name: observed_at
        data_type: timestamptz
        description: "The moment that the data is from."
        data_tests: [not_null]
"""


class NotWritten(Exception):
    """The files were not written; nothing was changed."""


def write_signal(dbt_project_dir: Path, name: str, domain: str, entity: str, model: str) -> tuple[Path, Path]:
    """Writes `<name>.sql` and `<name>.yml`.

    Parameters: the dbt project's folder; the signal's name; the folder under models/signals; what entity_id identifies;
    the model to select from. Raises NotWritten for a name that is no name, or is taken.
    """
    for word, what in ((name, "NAME"), (domain, "--domain"), (entity, "--entity")):
        if not re.fullmatch(NAME_PATTERN, word):
            raise NotWritten(
                f"{what} {word!r}: lower-case words joined by _, such as invoice_overdue. Nothing was written."
            )
    taken = next(dbt_project_dir.glob(f"models/**/{name}.*"), None)
    if taken is not None:
        raise NotWritten(f"{name} exists already: {taken.relative_to(dbt_project_dir)}. Nothing was written.")
    folder = dbt_project_dir / "models" / "signals" / domain
    folder.mkdir(parents=True, exist_ok=True)
    words = {
        "name": name,
        "domain": domain,
        "entity": entity,
        "model": model,
    }
    files = folder / f"{name}.sql", folder / f"{name}.yml"
    files[0].write_text(SQL.format(**words), encoding="utf-8")
    files[1].write_text(YML.format(**words), encoding="utf-8")
    return files
