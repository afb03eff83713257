"""Formulas of indicators: SQL expressions over the rows of loads, let through only if all in them is known.

What stands in a file is text of others: a formula is never pasted into a query before DuckDB's own parser has told that
it is one expression, of known operators, functions and columns, without a query inside; what is then asked is written
anew from the tree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from volest.errors import InputError
from volest.report.loads import FIELDS
from volest.schema import nearest

if TYPE_CHECKING:
    from volest.report.loads import Loads

__all__ = ["AGGREGATES", "checked"]

MOST_CHARACTERS = 2000
AGGREGATES = frozenset(
    ("avg", "bool_and", "bool_or", "count", "count_star", "max", "median", "min", "quantile_cont", "stddev_samp", "sum")
)
OPERATIONS = frozenset(("!", "!~~", "%", "*", "+", "-", "/", "//", "||", "~~"))
SCALARS = OPERATIONS | frozenset(
    (
        *("abs", "ceil", "contains", "date_part", "dayofweek", "exp", "floor", "greatest", "hour", "isodow", "least"),
        *("list_contains", "ln", "log10", "lower", "month", "pow", "round", "sqrt", "starts_with", "upper", "week"),
        "year",
    )
)
CLASSES = frozenset(
    ("BETWEEN", "CASE", "CAST", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "OPERATOR", "TYPE")
)
TYPES = frozenset(("BIGINT", "BOOLEAN", "DATE", "DOUBLE", "INTEGER", "VARCHAR"))
OPERATORS = frozenset(
    ("COMPARE_IN", "COMPARE_NOT_IN", "OPERATOR_COALESCE", "OPERATOR_IS_NOT_NULL", "OPERATOR_IS_NULL", "OPERATOR_NOT")
)


def checked(loads: Loads, text: str, where: str, *, aggregate: bool) -> str:
    """The formula as SQL that is safe to ask; InputError names `where` it stands and what in it is not allowed."""
    if not 0 < len(text) <= MOST_CHARACTERS:
        raise InputError(f"{where}: found {len(text)} characters, expected a formula of 1 to {MOST_CHARACTERS}")
    told = json.loads(loads.row("SELECT json_serialize_sql(?) AS tree", [f"SELECT {text}"])["tree"])
    if told["error"]:
        raise InputError(f"{where}: found {text[:60]!r}, expected an SQL expression: {told['error_message'][:200]}")
    expression = _only_expression(told, text, where)
    used = set()
    for node in _nodes(expression):
        _check_node(node, where)
        if node.get("class") == "FUNCTION":
            used.add(node["function_name"])
    if aggregate and not used & AGGREGATES:
        raise InputError(f"{where}: found no aggregate, expected one of {', '.join(sorted(AGGREGATES))} over the loads")
    if not aggregate and used & AGGREGATES:
        raise InputError(
            f"{where}: found {', '.join(sorted(used & AGGREGATES))}, expected a condition on a single load"
        )
    sql: str = loads.row("SELECT json_deserialize_sql(CAST(? AS JSON)) AS sql", [json.dumps(told)])["sql"]
    return "(" + sql.removeprefix("SELECT ") + ")"


def _only_expression(told: dict[str, Any], text: str, where: str) -> dict[str, Any]:
    statements = told["statements"]
    node = statements[0]["node"] if len(statements) == 1 else {}
    plain = (
        node.get("type") == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
        and not node["modifiers"]
        and not node["cte_map"]["map"]
        and not node["group_expressions"]
        and all(node[part] is None for part in ("where_clause", "having", "qualify", "sample"))
    )
    if not plain:
        raise InputError(f"{where}: found {text[:60]!r}, expected one SQL expression and nothing else")
    expression: dict[str, Any] = node["select_list"][0]
    return expression


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All nodes of the tree that are expressions, outermost first; without recursion, however deep."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "class" in item:
                yield item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def _check_node(node: dict[str, Any], where: str) -> None:
    kind = node["class"]
    if kind not in CLASSES:
        raise InputError(f"{where}: found {kind.lower().replace('_', ' ')}, expected no such thing in a formula")
    if kind == "FUNCTION":
        name = node["function_name"]
        if name not in AGGREGATES | SCALARS or node["schema"] or node["catalog"]:
            raise InputError(f"{where}: found {name}(), expected {nearest(name, sorted(AGGREGATES | SCALARS))}")
        if node["order_bys"]["orders"]:
            raise InputError(f"{where}: found ORDER BY in {name}(), expected none")
    elif kind == "COLUMN_REF":
        if len(node["column_names"]) != 1 or node["column_names"][0] not in FIELDS:
            name = ".".join(node["column_names"])
            raise InputError(f"{where}: found the column {name[:60]!r}, expected {nearest(name, FIELDS)}")
    elif kind == "TYPE" and node["type_name"] not in TYPES:
        raise InputError(
            f"{where}: found the type {node['type_name'][:60]}, expected one of {', '.join(sorted(TYPES))}"
        )
    elif kind == "OPERATOR" and node["type"] not in OPERATORS:
        raise InputError(f"{where}: found {node['type']}, expected one of {', '.join(sorted(OPERATORS))}")
