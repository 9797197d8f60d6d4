"""The twenty mistakes: how each is made in a sound project, and what a newcomer must be told of it."""

# ruff: noqa: E501 - the words of pages and messages are not broken

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from e2e.mistakes.planted_loop import Project, change

Plant = Callable[[Project, str], None]


@dataclass(frozen=True)
class Mistake:
    """One mistake and the parts that its message must have, in this order: where, what, and what to do."""

    name: str
    planted: str  # in words, for the page
    plant: Plant
    told: tuple[str, ...]
    playbook: str = "notify_owner"

    @property
    def signal(self) -> str:
        return f"customer_{self.name}"

    @property
    def title(self) -> str:
        return self.name.replace("_", " ")


def in_yml(old: str, new: str) -> Plant:
    return lambda project, signal: change(project.yml(signal), old, new)


def in_sql(old: str, new: str) -> Plant:
    return lambda project, signal: change(project.sql(signal), old, new)


def in_playbook(name: str, old: str, new: str) -> Plant:
    return lambda project, _: change(project.playbook(name), old, new, times=1)


YML = "models/signals/planted/customer_{}.yml:"
SQL = "models/signals/planted/customer_{}.sql"

# --- refused by `loopctl validate` and `prepare`: the signal is quarantined, the others go on
IN_A_SIGNAL = (
    Mistake(
        "misspelt_key",
        "`fresh_witin: {hours: 26}`",
        in_yml("fresh_within", "fresh_witin"),
        (YML.format("misspelt_key"), "fresh_witin: unknown key", "did you mean 'fresh_within'?"),
    ),
    Mistake(
        "unknown_playbook",
        "`playbook: notify_ownr`",
        in_yml("playbook: notify_owner", "playbook: notify_ownr"),
        (YML.format("unknown_playbook"), "playbook: there is no playbook 'notify_ownr'", "notify_owner"),
    ),
    Mistake(
        "unknown_template_field",
        '`message: "{{ row.amount }}"` without such a column',
        in_yml("{{ event.reason }}", "{{ row.amount }}"),
        (YML.format("unknown_template_field"), "parameters.message: unknown field 'row.amount'", "row has: entity_id"),
    ),
    Mistake(
        "missing_column",
        "no column `score` in the YAML",
        in_yml(
            '      - {name: score, data_type: double precision, description: "What the number is; null where there is none."}\n',
            "",
        ),
        (
            YML.format("missing_column"),
            "columns: the column 'score' is missing",
            "add it with data_type: double precision",
        ),
    ),
    Mistake(
        "wrong_type",
        "`entity_id` with `data_type: bigint`",
        in_yml("{name: entity_id, data_type: text", "{name: entity_id, data_type: bigint"),
        (YML.format("wrong_type"), "columns.entity_id: data_type 'bigint' where 'text' is needed", "cast in the SQL"),
    ),
    Mistake(
        "view_instead_of_table",
        "`{{ config(materialized='view') }}` in the SQL",
        in_sql("-- Who is", "{{ config(materialized='view') }}\n-- Who is"),
        (
            SQL.format("view_instead_of_table") + ":1:",
            "materialized as a table, not as view",
            "leave `materialized` out",
        ),
    ),
    Mistake(
        "no_population",
        "a guard with a share, and no `population`",
        in_yml(
            "          population: active_customers # the model that the guards' shares are of; it must stand above this model\n",
            "",
        ),
        (YML.format("no_population"), "guards: a share needs `population`", "the model or source"),
    ),
    Mistake(
        "unit_without_number",
        "`act_within: {hours: }`",
        in_yml("act_within: {hours: 4}", "act_within: {hours: }"),
        (YML.format("unit_without_number"), "act_within.hours: a unit without a number", "{hours: 26}"),
    ),
    Mistake(
        "threshold_as_text",
        '`hold_when: [{score: {above: "0.9"}}]`',
        in_playbook("ask_first", "  - name: tell\n", '  - name: tell\n    hold_when: [{score: {above: "0.9"}}]\n'),
        ("playbooks/ask_first.yaml:", "hold_when.0.score.above: '0.9' is text", "a number without quotes"),
        playbook="ask_first",
    ),
    Mistake(
        "circular_needs",
        "two steps that each `needs` the other",
        in_playbook("tell_in_circles", "  - name: tell\n", "  - name: tell\n    needs: [tell_again]\n"),
        (
            "playbooks/tell_in_circles.yaml:",
            "steps.tell.needs: circular, tell -> tell_again -> tell",
            "take one of these needs out",
        ),
        playbook="tell_in_circles",
    ),
    Mistake(
        "unknown_role",
        "`role: chatt`",
        in_playbook("tell_whom", "role: chat\n", "role: chatt\n"),
        ("playbooks/tell_whom.yaml:", "role: no destination is bound to the role 'chatt'", "bound roles: chat, crm"),
        playbook="tell_whom",
    ),
    Mistake(
        "secret_in_yaml",
        "a vendor's token in a message",
        in_yml("{{ event.reason }}", "xoxb-0123456789-not-for-the-eyes-of-all"),
        (YML.format("secret_in_yaml"), "parameters.message: looks like a secret", "into the environment"),
    ),
    Mistake(
        "moment_without_zone",
        "`observed_at` with `data_type: timestamp`",
        in_yml("data_type: timestamptz", "data_type: timestamp"),
        (
            YML.format("moment_without_zone"),
            "columns.observed_at: data_type 'timestamp' where",
            "utc_moment('loaded_at')",
        ),
    ),
)

# --- refused or held by the build: what is wrong is in the rows
IN_THE_ROWS = (
    Mistake(
        "severity_out_of_list",
        "`'urgent' as severity`",
        in_sql("'medium' as severity", "'urgent' as severity"),
        (SQL.format("severity_out_of_list") + ":", "refused, nothing was captured: 4 row(s) with a severity other than low, medium", "has urgent", "Correct the model"),
    ),
    Mistake(
        "null_entity_id",
        "an `entity_id` that is null for one row",
        in_sql("cast(customer_id as", "cast(nullif(customer_id, 'C000000003') as"),
        (SQL.format("null_entity_id") + ":", "refused, nothing was captured: 1 row(s) without entity_id", "Correct the model"),
    ),
    Mistake(
        "join_that_duplicates",
        "a join to a table with two rows for each customer",
        in_sql(
            "select * from {{ ref('active_customers') }}",
            "select active_customers.* from {{ ref('active_customers') }} as active_customers\n"
            "    cross join (select 1 as copy union all select 2) as copies",
        ),
        (SQL.format("join_that_duplicates") + ":", "refused, nothing was captured: 4 row(s) repeat an entity_id", "C000000001", "Correct the model"),
    ),
)  # fmt: skip


# --- refused by dbt of the project as a whole: nothing is built and nothing is sent until it is mended
def _same_name(project: Project, signal: str) -> None:
    folder = project.dbt / "models" / "signals" / "elsewhere"
    folder.mkdir()
    (folder / f"{signal}.sql").write_bytes(project.sql(signal).read_bytes())


def _circle(project: Project, signal: str) -> None:
    models = project.dbt / "models" / "intermediate"
    (models / "good_customers.sql").write_text("select * from {{ ref('loyal_customers') }}\n", encoding="utf-8")
    (models / "loyal_customers.sql").write_text("select * from {{ ref('good_customers') }}\n", encoding="utf-8")


def _two_claims(project: Project, signal: str) -> None:
    project.yml(signal).with_name("another_signal.yml").write_bytes(project.yml(signal).read_bytes())


IN_THE_PROJECT = (
    Mistake(
        "duplicate_name",
        "two signals of one name in two folders",
        _same_name,
        ("models/signals/elsewhere/customer_duplicate_name.sql: ", "the name 'customer_duplicate_name' is taken: ", "rename one", "dbt said: "),
    ),
    Mistake(
        "ref_cycle",
        "two models that each `ref` the other",
        _circle,
        ("models/intermediate/good_customers.sql:", "in a circle: good_customers -> loyal_customers -> good_customers", "take one of these out: ref('loyal_customers')"),
    ),
    Mistake(
        "two_signals_claim_one_model",
        "two YAML files with `name:` of one model",
        _two_claims,
        ("models/signals/planted/another_signal.yml:5: ", "two YAML files claim the model 'customer_two_signals_claim_one_model'", "keep one entry", "dbt said: "),
    ),
)  # fmt: skip

# --- held: the build of what is made from it is skipped, until newer data comes
STALE_SOURCE = Mistake(
    "stale_source",
    "opportunities set back by a day, as by a restored backup",
    lambda project, signal: None,
    ("deal_won: nothing captured, stale: landing.opportunities was loaded until", "the last captured build saw"),
)
