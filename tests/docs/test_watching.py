"""What docs/watching.md says of metrics, alerts and schedulers is what the program understands."""

import ast
import re
import shlex

import pytest
import yaml
from builders import on_postgresql

from astra.status.limits import LIMIT_BROKEN
from astra.status.metrics import MEDIAN, METRICS
from astra.tasks.installed import find_task

from documents import DOCS, blocks
from nights_survey import fill_nights

PAGE = "docs/watching.md"
ALERTS = DOCS / "prometheus" / "alerts.yml"
_NAME = re.compile(r"\bastra_[a-z_]+\b")
# Roles and files, which look like metrics.
_OTHERS = {"astra_reader", "astra_distances", "astra_products"}


@pytest.fixture(scope="module")
def metrics():
    return {*METRICS, *(f"{MEDIAN}{name}" for name in find_task("astronn_dist").watched)}


@pytest.mark.parametrize("file", [DOCS / "watching.md", ALERTS], ids=lambda file: file.name)
def test_every_metric_that_is_named_is_one(metrics, file):
    assert set(_NAME.findall(file.read_text())) - _OTHERS <= metrics


def test_every_alert_has_a_name_of_its_own_an_expression_and_a_summary():
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]

    names = [rule["alert"] for rule in group["rules"]]
    assert len(names) == len(set(names)) >= 9
    for rule in group["rules"]:
        assert rule.keys() <= {"alert", "expr", "for", "annotations"}
        assert _NAME.search(rule["expr"])
        # What a summary takes from the labels is there after an aggregation of none.
        assert "by (" not in rule["expr"]
        assert rule["annotations"]["summary"].count("{{") == rule["annotations"]["summary"].count("}}")


@on_postgresql
def test_the_nights_of_a_dashboard_have_their_medians(db):
    fill_nights(db)
    (query,) = [block.text for block in blocks(PAGE, "sql") if "percentile_cont" in block.text]

    rows = db.execute_sql(query.strip().rstrip(";")).fetchall()

    assert [(row[1], row[2], round(float(row[3]), 3), round(row[4], 6)) for row in rows] == [
        ("apo25m", 5, 0.0, 50.0),
        ("apo25m", 23, 0.13, 1.0),
        ("lco25m", 22, 0.045, 4.0),
        ("apo25m", 4, 0.0, 2.0),
    ]


def test_the_sensor_asks_what_the_program_understands(db, astra):
    """The DAG itself is run by tests/test_airflow.py."""
    fill_nights(db)
    code = (DOCS / "airflow" / "astra_products.py").read_text()
    (check,) = [
        node.value.value
        for node in ast.parse(code).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "CHECK"
    ]

    code, out, _ = astra(*shlex.split(check))

    assert (code, out) == (LIMIT_BROKEN, "astronn_dist: pending 2 of 56 spectra (3.57 %), more than 0\n")
