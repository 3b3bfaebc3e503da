"""terraform/ without a network: against the provider's schema, itself, the job's flags and the runbooks."""

import importlib
import json
import re
import shutil
import subprocess
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
import sqlglot

from commands.canary import MAX_STAY_MS, PROFILE_PREFIX, CanaryResult
from commands.canary import parser as canary_flags
from commands.cli import COMMANDS
from pipeline.options import SegmentationOptions
from services.collector.__main__ import parser as collector_parser
from services.collector.app import KINDS
from tests.terraform.extract_provider_schema import META, used_types

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "terraform"
RUNBOOKS = ROOT / "docs" / "terraform.md"
SCHEMA = json.loads((Path(__file__).parent / "google_provider_schema.json").read_text(encoding="utf-8"))
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(TERRAFORM.glob("*.tf"))}
ALL_TEXT = "\n".join(TEXTS.values())

ON_THE_PROJECT = {
    "roles/dataflow.worker": "a Dataflow job has no policy of its own",
    "roles/dataflow.developer": "a Dataflow job has no policy of its own",
    "roles/bigquery.jobUser": "a query is billed to, and granted on, a project",
}
_TOLD = {"id": {"computed": True}}
_KNOWN_ROOTS = {"each", "count", "path", "var", "local", "data", "self"}


class Block(NamedTuple):
    """A top-level block of a type with a name, such as `resource "google_pubsub_topic" "events"`."""

    kind: str
    type: str
    name: str
    body: dict[str, Any]

    @property
    def address(self) -> str:
        return f"{self.type}.{self.name}"


class Configuration(NamedTuple):
    """The files, parsed; strings keep their quotes, and expressions stand in ${}."""

    blocks: list[Block]
    variables: dict[str, dict[str, Any]]
    locals: dict[str, Any]
    outputs: dict[str, dict[str, Any]]
    text: str


@pytest.fixture(scope="module")
def terraform() -> Configuration:
    try:
        hcl2 = importlib.import_module("hcl2")
    except ImportError:
        pytest.fail("python-hcl2 is missing: `make setup` installs it, from pyproject.toml's extra `dev`")
    blocks, variables, values, outputs, texts = [], {}, {}, {}, []
    for text in TEXTS.values():
        document = hcl2.loads(text)
        texts.append(json.dumps(_without_comments(document)))
        for kind in ("resource", "data"):
            for by_type in document.get(kind, []):
                for kind_type, by_name in _entries(by_type):
                    blocks += [Block(kind, kind_type, name, body) for name, body in _entries(by_name)]
        variables |= dict(pair for block in document.get("variable", []) for pair in _entries(block))
        outputs |= dict(pair for block in document.get("output", []) for pair in _entries(block))
        values |= dict(pair for block in document.get("locals", []) for pair in _entries(block))
    return Configuration(blocks, variables, values, outputs, "\n".join(texts).replace('\\"', '"'))


def _without_comments(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_comments(inner) for key, inner in value.items() if not key.endswith("comments__")
        }
    return [_without_comments(inner) for inner in value] if isinstance(value, list) else value


def _entries(block: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(key.strip('"'), value) for key, value in block.items() if not key.startswith("__")]


def _schema_of(block: Block) -> dict[str, Any] | None:
    fields = SCHEMA["resources"].get(("data." if block.kind == "data" else "") + block.type)
    return None if fields is None else _TOLD | fields


def _problems(body: dict[str, Any], schema: dict[str, Any], where: str) -> Iterator[str]:
    """Yields what a block has that the schema lacks, and the other way round."""
    given = {key: value for key, value in _entries(body) if key != "dynamic"}
    for dynamic in body.get("dynamic", []):
        for name, made in _entries(dynamic):
            given[name] = [*given.get(name, []), *made["content"]]
    for name, field in schema.items():
        if field.get("required") and name not in given:
            yield f"{where} lacks {name}"
    for name, value in given.items():
        field = schema.get(name)
        if field is None or field.get("computed"):
            yield f"{where} has {name}, which is {'only told' if field else 'unknown'}"
        elif isinstance(value, list) and value and isinstance(value[0], dict) and "__is_block__" in value[0]:
            if "block" not in field:
                yield f"{where}.{name} is no block"
                continue
            for inner in value:
                yield from _problems(inner, field["block"], f"{where}.{name}")
        elif "block" in field:
            yield f"{where}.{name} is a block"
        elif not _fits(value, field["kind"]):
            yield f"{where}.{name} is no {field['kind']}: {value!r}"


def _fits(value: Any, kind: str) -> bool:
    """Tells whether a literal is of a kind; what an expression gives is not known here."""
    if value is None or isinstance(value, str) and value.startswith("${"):
        return True
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int | float):
        return kind == "number"
    if isinstance(value, list):
        return kind == "list"
    return kind == "map" if isinstance(value, dict) else kind == "string"


def test_every_type_of_resource_is_in_the_schema() -> None:
    assert used_types() == set(SCHEMA["resources"]), "run extract_provider_schema.py again"


def test_resources_have_what_the_provider_takes_and_nothing_else(terraform: Configuration) -> None:
    problems = []
    for block in terraform.blocks:
        schema = _schema_of(block)
        assert schema is not None, block.address
        body = {key: value for key, value in block.body.items() if key not in META}
        problems += _problems(body, schema, block.address)
    assert problems == []


@pytest.mark.parametrize(
    "body, problem",
    [
        ({"name": '"a"', "colour": '"red"'}, "topic has colour, which is unknown"),
        ({}, "topic lacks name"),
        ({"name": '"a"', "effective_labels": {}}, "topic has effective_labels, which is only told"),
        ({"name": '"a"', "schema_settings": '"a"'}, "topic.schema_settings is a block"),
        ({"name": 3}, "topic.name is no string: 3"),
        (
            {"name": '"a"', "message_storage_policy": [{"__is_block__": True}]},
            "topic.message_storage_policy lacks allowed_persistence_regions",
        ),
        (
            {
                "name": '"a"',
                "dynamic": [{'"schema_settings"': {"content": [{"x": 1, "__is_block__": True}]}}],
            },
            "topic.schema_settings has x, which is unknown",
        ),
    ],
)
def test_the_check_against_the_schema_finds_mistakes(body: dict[str, Any], problem: str) -> None:
    assert problem in list(_problems(body, SCHEMA["resources"]["google_pubsub_topic"], "topic"))


def test_references_to_variables_and_locals_resolve_and_none_is_unused(terraform: Configuration) -> None:
    assert set(re.findall(r"\bvar\.(\w+)", terraform.text)) == set(terraform.variables)
    assert set(re.findall(r"\blocal\.(\w+)", terraform.text)) == set(terraform.locals)


def test_references_to_resources_resolve(terraform: Configuration) -> None:
    by_address = {
        ("data." if block.kind == "data" else "") + block.address: block for block in terraform.blocks
    }
    reference = re.compile(r"(?<![\w.\"/])((?:data\.)?google_\w+\.\w+)((?:\[[^\]]*\])?)(?:\.(\w+))?")
    problems = []
    for address, _, attribute in reference.findall(terraform.text):
        block = by_address.get(address)
        if block is None:
            problems.append(f"there is no {address}")
        elif attribute and attribute not in (_schema_of(block) or {}):
            problems.append(f"{address} has no {attribute}")
    assert problems == []
    assert len(reference.findall(terraform.text)) > 100


def test_variables_have_a_type_and_a_description(terraform: Configuration) -> None:
    for name, variable in terraform.variables.items():
        assert variable.get("type"), name
        assert len(variable.get("description", "")) > 10, name
        if variable["type"] not in ("bool", "${bool}"):
            assert "validation" in variable, name


def test_the_example_sets_variables_that_exist_and_all_that_have_no_default(terraform: Configuration) -> None:
    text = (TERRAFORM / "example.tfvars").read_text(encoding="utf-8")
    given = set(re.findall(r"^(\w+) +=", text, re.MULTILINE))
    required = {name for name, variable in terraform.variables.items() if "default" not in variable}
    assert required <= given <= set(terraform.variables)
    shown = set(re.findall(r"^(?:# )?(\w+) +=", text, re.MULTILINE))
    assert shown == set(terraform.variables), "the example shows every variable, at least in a comment"


def test_outputs_are_described_and_come_from_resources(terraform: Configuration) -> None:
    for name, output in terraform.outputs.items():
        assert len(output.get("description", "")) > 10, name
        value = json.dumps(output["value"])
        assert "google_" in value or "local." in value, name
        assert "var." not in value, name


def test_outputs_that_the_documentation_asks_for_exist(terraform: Configuration) -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    asked = set(re.findall(r"\bterraform (?:-chdir=\w+ )?output (?:-\w+ )?(\w+)", pages))
    assert {"canary_command", "deployment"} <= asked <= set(terraform.outputs)


def test_grants_are_on_single_resources(terraform: Configuration) -> None:
    wide = [
        block
        for block in terraform.blocks
        if re.match(r"google_(project|folder|organization)_iam_", block.type)
    ]
    assert {block.type for block in wide} == {"google_project_iam_member"}
    assert {block.body["role"].strip('"') for block in wide} == set(ON_THE_PROJECT)
    exclusive = [
        block.address for block in terraform.blocks if re.search(r"_iam_(policy|binding)$", block.type)
    ]
    assert exclusive == [], "these take away what others have granted"
    members = [block for block in terraform.blocks if block.type.endswith("_iam_member")]
    grants = [f"{block.body['role']} {block.body['member']}" for block in members]
    too_much = re.compile(r"roles/(owner|editor|viewer)\b|allUsers|allAuthenticated")
    assert len(grants) > len(wide)
    assert [grant for grant in grants if too_much.search(grant)] == []


@pytest.mark.parametrize("table", ["segment_changes", "dead_letters"])
def test_tables_are_made_from_the_schema_files(terraform: Configuration, table: str) -> None:
    body = _named(terraform, "google_bigquery_table", table).body
    assert body["schema"] == f'${{file("${{path.module}}/../stores/history/sql/{table}.schema.json")}}'
    _check_columns(body, ROOT / "stores" / "history" / "sql" / f"{table}.schema.json")


def test_raw_events_have_the_columns_that_a_native_subscription_writes(terraform: Configuration) -> None:
    path = TERRAFORM / "schemas" / "raw_events.schema.json"
    columns = {column["name"] for column in json.loads(path.read_text(encoding="utf-8"))}
    assert columns == {"subscription_name", "message_id", "publish_time", "data", "attributes"}
    _check_columns(_named(terraform, "google_bigquery_table", "raw_events").body, path)


def _check_columns(body: dict[str, Any], path: Path) -> None:
    columns = {column["name"]: column["type"] for column in json.loads(path.read_text(encoding="utf-8"))}
    assert {name.strip('"') for name in body["clustering"]} <= set(columns)
    (partitioning,) = body["time_partitioning"]
    assert columns[partitioning["field"].strip('"')] == "TIMESTAMP"
    assert "expiration_ms" in partitioning


def test_the_history_is_partitioned_and_clustered_as_its_interface_says(terraform: Configuration) -> None:
    body = _named(terraform, "google_bigquery_table", "segment_changes").body
    assert body["clustering"] == ['"segment"', '"profile_id"']
    assert body["time_partitioning"][0]["type"] == '"DAY"'
    assert body["time_partitioning"][0]["field"] == '"event_time"'


def test_every_view_is_made_from_the_sql_that_is_tested(terraform: Configuration) -> None:
    paths = list((ROOT / "stores" / "history" / "sql").glob("*.sql"))
    assert paths
    for path in paths:
        (view,) = _named(terraform, "google_bigquery_table", path.stem).body["view"]
        assert f'templatefile("${{path.module}}/../stores/history/sql/{path.name}", ' in view["query"]
        # templatefile would take these for its own.
        assert set(re.findall(r"[$%]\{[^}]*\}?", path.read_text(encoding="utf-8"))) == {"${table}"}


def watch(*seen: tuple[str, float, int]) -> str:
    """Runs the watch over rates in DuckDB, on (name, hours before the run, how often); returns what it says."""
    values = {"table": "seen", "name": "segment", "time": "event_time", "ratio": "0.2", "at_least": "100"}
    query = (TERRAFORM / "sql" / "collapsed_rates.sql").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+)\}", query)) == {*values, "what"}
    for name, value in values.items():
        query = query.replace(f"${{{name}}}", value)
    (translated,) = sqlglot.transpile(
        query.replace("@run_time", "run_time()"), read="bigquery", write="duckdb"
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE MACRO run_time() AS TIMESTAMPTZ '2026-03-10 12:00:00+00'")
        connection.execute("CREATE TABLE seen (segment VARCHAR, event_time TIMESTAMPTZ)")
        for name, hours, times in seen:
            seconds = round(hours * 3600)
            rows = f"SELECT '{name}', run_time() - INTERVAL {seconds} SECOND FROM range({times})"
            connection.execute(f"INSERT INTO seen {rows}")
        try:
            row = connection.execute(translated).fetchone()
        except duckdb.InvalidInputException as error:
            return str(error)
        assert row is not None
        return str(row[0])


@pytest.mark.parametrize(
    "seen, said",
    [
        ([("vip", 24.5, 100), ("vip", 168.5, 100)], "collapsed: vip (0 an hour, usually 100)"),
        (
            [("vip", 0.5, 19), ("vip", 24.5, 100), ("vip", 168.5, 300)],
            "collapsed: vip (19 an hour, usually 100)",
        ),
        ([("vip", 0.5, 20), ("vip", 24.5, 100), ("vip", 168.5, 100)], "as usual"),
        ([("rare", 24.5, 99), ("rare", 168.5, 99)], "as usual"),
        ([("campaign", 24.5, 500)], "as usual"),
        ([("other_hours", 23.5, 500), ("other_hours", 30, 500), ("other_hours", 170, 500)], "as usual"),
        ([("edge", 0, 100), ("edge", 24, 100), ("edge", 168, 100)], "as usual"),
        ([], "as usual"),
        (
            [("b", 24.5, 100), ("b", 168.5, 100), ("a", 24.5, 200), ("a", 168.5, 200)],
            "collapsed: a (0 an hour, usually 200), b (0 an hour, usually 100)",
        ),
    ],
)
def test_the_watch_over_rates_names_what_has_collapsed(seen: list[tuple[str, float, int]], said: str) -> None:
    assert watch(*seen).endswith(said)


def named(terraform: Configuration, watched: str, table: str, columns: str, *rows: str) -> list[str | None]:
    """Returns what the watch over rates calls rows, each a tuple in SQL."""
    (expression,) = [
        body["name"] for name, body in _entries(terraform.locals["watched_rates"]) if name == watched
    ]
    selected = expression.strip('"').replace("${local.canary_prefix}", PROFILE_PREFIX)
    query = f"SELECT {selected} FROM {table}"
    assert "${" not in query, "an expression that this test does not know"
    (translated,) = sqlglot.transpile(query, read="bigquery", write="duckdb")
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE {table} ({columns})")
        connection.execute(f"INSERT INTO {table} VALUES {', '.join(rows)}")
        return [name for (name,) in connection.execute(translated).fetchall()]


def test_the_watch_over_events_leaves_out_the_canary_and_what_is_no_track_call(
    terraform: Configuration,
) -> None:
    data = [
        {"type": "track", "event": "Product Viewed", "userId": "ada"},
        {"type": "track", "event": "Product Viewed", "anonymousId": "a1"},
        {"type": "track", "event": "Canary Checked", "userId": "canary:7"},
        {"type": "page", "userId": "ada"},
        {"type": "track", "event": "Order Completed", "userId": "canary"},
    ]
    rows = [f"('{json.dumps(message)}')" for message in data]
    found = named(terraform, "event-name-collapsed", "raw_events", "data VARCHAR", *rows)
    assert found == ["Product Viewed", "Product Viewed", None, None, "Order Completed"]


def test_the_watch_over_segments_counts_entries_and_leaves_out_the_canary(terraform: Configuration) -> None:
    rows = ["('entered', 'vip', 'ada')", "('exited', 'vip', 'ada')", "('entered', 'canary', 'canary:7')"]
    columns = "change VARCHAR, segment VARCHAR, profile_id VARCHAR"
    assert named(terraform, "segment-collapsed", "segment_changes", columns, *rows) == ["vip", None, None]


def test_the_canary_is_told_apart_by_the_prefix_that_it_has(terraform: Configuration) -> None:
    assert terraform.locals["canary_prefix"] == f'"{PROFILE_PREFIX}"'


def test_the_canary_is_started_with_flags_that_it_has_and_ends_in_time(terraform: Configuration) -> None:
    task = _named(terraform, "google_cloud_run_v2_job", "canary").body["template"][0]["template"][0]
    command, *arguments = [argument.strip('"') for argument in task["containers"][0]["args"]]
    assert command in COMMANDS
    assert COMMANDS[command].module == "commands.canary"
    flags = canary_flags().parse_args(arguments)
    waits_seconds = 2 * flags.timeout_seconds + MAX_STAY_MS / 1000
    assert int(task["timeout"].strip('"s')) >= waits_seconds + 60, "starting it takes a while"
    figures = {figure for figure, _ in _entries(terraform.locals["canary_figures"])}
    assert figures == {figure for figure in json.loads(CanaryResult().line()) if figure.endswith("_ms")}


def _named(terraform: Configuration, kind: str, name: str) -> Block:
    (found,) = [block for block in terraform.blocks if (block.type, block.name) == (kind, name)]
    return found


def test_the_job_takes_flags_that_exist_and_no_others(terraform: Configuration) -> None:
    parser = ArgumentParser()
    SegmentationOptions._add_argparse_args(parser)
    flags = {action.dest for action in parser._actions} - {"help"}
    parameters = {name for name, _ in _entries(terraform.locals["job_flags"])}
    assert parameters <= flags
    assert parameters >= {"input_subscription", "segments", "redis_url", "history_table", "dead_letter_topic"}
    job = _named(terraform, "google_dataflow_flex_template_job", "live").body
    assert job["parameters"] == "${local.job_parameters}"
    assert job["on_delete"] == '"drain"'


def test_the_collector_takes_flags_that_exist_and_all_that_it_needs(terraform: Configuration) -> None:
    parser = collector_parser()
    (template,) = _named(terraform, "google_cloud_run_v2_service", "collector").body["template"]
    (container,) = template["containers"]
    options = parser.parse_args([argument.strip('"') for argument in container["args"]])
    (mount,) = container["volume_mounts"]
    (volume,) = template["volumes"]
    (item,) = volume["secret"][0]["items"]
    assert str(options.settings) == f"{mount['mount_path']}/{item['path']}".replace('"', "")
    assert options.host == "0.0.0.0"


def test_the_collectors_account_may_publish_to_two_topics_and_read_its_settings(
    terraform: Configuration,
) -> None:
    member = "${google_service_account.collector.member}"
    grants = [block for block in terraform.blocks if block.body.get("member") == member]
    assert {block.address: block.body["role"] for block in grants} == {
        "google_pubsub_topic_iam_member.collector": '"roles/pubsub.publisher"',
        "google_secret_manager_secret_iam_member.collector": '"roles/secretmanager.secretAccessor"',
    }
    topics = _named(terraform, "google_pubsub_topic_iam_member", "collector").body["for_each"]
    assert sorted(topics.values()) == [
        "${google_pubsub_topic.dead_letters.name}",
        "${google_pubsub_topic.events.name}",
    ]


def test_the_operators_paths_are_blocked_for_requests_from_the_internet() -> None:
    """Each route of the collector also has a form with a closing slash."""
    (expression,) = re.findall(r"request\.path\.matches\('([^']+)'\)", TEXTS["collector.tf"])
    operation = [f"/{name}{slash}" for name in ("metrics", "readyz", "healthz") for slash in ("", "/")]
    assert [path for path in operation if not re.search(expression, path)] == []
    assert [path for path in KINDS if re.search(expression, path)] == []


def test_every_alert_has_a_runbook(terraform: Configuration) -> None:
    lists = ("threshold_alerts", "query_alerts", "canary_alerts", "rate_alerts")
    alerts = {name for kind in lists for name, _ in _entries(terraform.locals[kind])}
    headings = re.findall(r"^#+ (.+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert sorted(alerts) == sorted(set(anchors) & alerts)
    assert all(anchors.count(alert) == 1 for alert in alerts)
    assert {name for name, _ in _entries(terraform.locals["watched_rates"])} == {
        name for name, _ in _entries(terraform.locals["rate_alerts"])
    }
    policies = [block for block in terraform.blocks if block.type == "google_monitoring_alert_policy"]
    assert policies
    for block in policies:
        (documentation,) = block.body["documentation"]
        assert documentation["links"][0]["url"] == "${local.runbooks[each.key]}", block.address


def test_counters_that_alerts_and_dashboard_read_are_counted_by_the_job() -> None:
    steps = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "transforms").glob("*.py"))
    named = re.findall(r'metric_name=~?\\"([^"\\]+)\\"', ALL_TEXT)
    names = {part for found in named for part in found.split("|")}
    assert len(names) > 5
    for name in names:
        counted = re.sub(r"_(COUNT|MEAN|MIN|MAX)$", "", name).removesuffix(".*")
        assert f'"{counted}"' in steps or f'f"{counted}{{' in steps, name


def test_exceptions_of_checkov_have_a_reason() -> None:
    skips = re.findall(r"#checkov:skip=(\w+)(.*)", ALL_TEXT)
    assert skips
    assert [check for check, reason in skips if len(reason) < 15] == []


def test_files_are_formatted() -> None:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    command = ["terraform", "fmt", "-check", "-recursive", "-list=true", str(TERRAFORM)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")
