"""Beside the request path: model.conf. One shape of request, rule and matcher; a bundle's model may only be narrower than it.

The request that the gateway asks is fixed, so the model's is too. Of the matcher every part below must stand, joined by `and`; further
parts may be added and can then only take away. Parts over the request alone compile; any other (a function of pycasbin) makes the
bundle run on pycasbin's own evaluation of its rows.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from gateway.policy.condition import Condition, Malformed, casbin_spelling, parse
from gateway.policy.finding import Finding, error
from gateway.policy.source import MODEL_FILE

REQUEST = "sub, who, role, dom, res, act, wide, field, cls, pur, rec, env"
RULE = "role, unit, res, act, field, pur, cond, eft"
LINK = "_, _, _"
EFFECT = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
PARTS = (
    '(g(r.who, r.role, r.dom) || g(r.who, r.role, "*"))',
    '(g(r.role, p.role, r.dom) || g(r.role, p.role, "*"))',
    '(p.unit == r.dom || p.unit == "*")',
    '(p.res == r.res || p.res == "*")',
    "(p.act == r.act || p.act == r.wide)",
    '(p.field == r.field || p.field == r.cls || p.field == "*")',
    '(p.pur == r.pur || p.pur == "*")',
    "eval(p.cond)",
)
_LISTS = {
    ("request_definition", "r"): REQUEST,
    ("policy_definition", "p"): RULE,
    ("role_definition", "g"): LINK,
}
_EXPECTED = {**_LISTS, ("policy_effect", "e"): EFFECT}
# Anchored, without alternation at the top, quantified groups or back references: linear in its input.
_SAFE_PATTERN = re.compile(r"\^(?:[\w:/@ =-]|\\[.\\/]|\[[\w:./@ -]+\][*+?]?|\.[*+?]?)*\$\Z")
FUNCTIONS = frozenset({"regexMatch"})


@dataclass(frozen=True, slots=True)
class Model:
    """A model that was accepted. extra: conditions that every rule gets besides its own. compiled: False when pycasbin must evaluate."""

    text: str
    extra: tuple[Condition, ...]
    compiled: bool
    line: int  # where the matcher stands


def _normal(expression: str) -> str:
    return ast.unparse(ast.parse(casbin_spelling(expression).strip(), mode="eval"))


_NORMAL_PARTS = tuple(_normal(part) for part in PARTS)


def parse_model(text: str) -> tuple[Model | None, list[Finding]]:
    """Gives the model, or None and what is wrong with it."""
    options, findings = _options(text)
    for key, expected in _EXPECTED.items():
        if key not in options:
            findings.append(_lacking(key))
        elif not (
            tokens(options[key][0]) == tokens(expected) if key in _LISTS else options[key][0] == expected
        ):
            line = options[key][1]
            findings.append(
                error(
                    MODEL_FILE,
                    line,
                    f"`{key[1]}` is not the gateway's",
                    "A deny could be read as an allow, or a request that nobody asks be decided",
                    f"Write `{key[1]} = {expected}`",
                    rule="model-definition",
                )
            )
    for key, (_value, line) in options.items():
        if key not in _EXPECTED and key != ("matchers", "m"):
            findings.append(
                error(
                    MODEL_FILE,
                    line,
                    f"`[{key[0]}] {key[1]}` is nothing that is read",
                    "Casbin would pass over it or decide by a second section",
                    "Remove it",
                    rule="model-unknown-option",
                )
            )
    if ("matchers", "m") not in options:
        findings.append(_lacking(("matchers", "m")))
        return None, findings
    value, line = options["matchers", "m"]
    extra, compiled = _matcher(value, line, findings)
    return (None if findings else Model(text, tuple(extra), compiled, line)), findings


def _lacking(key: tuple[str, str]) -> Finding:
    return error(
        MODEL_FILE,
        1,
        f"`[{key[0]}] {key[1]}` is missing",
        "Every decision would raise",
        "Restore the file",
        rule="model-missing",
    )


def tokens(text: str) -> list[str]:
    """Gives what stands between the commas as Casbin reads it: blanks around a name are nothing, within it they are part of it."""
    return [token.strip() for token in text.split(",")]


def _options(text: str) -> tuple[dict[tuple[str, str], tuple[str, int]], list[Finding]]:
    """Sections and options, one a line: no continuation, nothing twice, names in lower case (Casbin's reader looks them up so)."""
    options: dict[tuple[str, str], tuple[str, int]] = {}
    findings: list[Finding] = []
    section = ""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        name, equals, value = line.partition("=")
        key = (section, name.strip())
        if not equals or not value.strip() or line.endswith("\\") or "#" in value:
            what = "the line is no `name = value`"
        elif key in options:
            what = f"`{key[1]}` stands here a second time"
        else:
            options[key] = (value.strip(), number)
            continue
        findings.append(
            error(
                MODEL_FILE,
                number,
                what,
                "Casbin would join it, cut it or take the last",
                "Mend the line",
                rule="model-line",
            )
        )
    return options, findings


def _matcher(value: str, line: int, findings: list[Finding]) -> tuple[list[Condition], bool]:
    try:
        tree = ast.parse(casbin_spelling(value).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        findings.append(
            error(
                MODEL_FILE,
                line,
                "the matcher is no expression",
                "Every decision raises",
                "Mend it",
                rule="matcher-shape",
            )
        )
        return [], True
    try:
        ast.unparse(tree)
    except RecursionError:
        findings.append(
            error(
                MODEL_FILE,
                line,
                "the matcher nests too deep",
                "Every decision raises",
                "Write it flat",
                rule="matcher-shape",
            )
        )
        return [], True
    if not isinstance(tree, ast.BoolOp) or not isinstance(tree.op, ast.And):
        findings.append(
            error(
                MODEL_FILE,
                line,
                "the matcher is not a row of parts joined by `&&`",
                "One branch of an `||` would allow past all others",
                "Join the required parts by `&&`",
                rule="matcher-shape",
            )
        )
        return [], True
    parts = [ast.unparse(part) for part in tree.values]
    kept = [part for part in parts if part in _NORMAL_PARTS]
    if parts[-1] != _NORMAL_PARTS[-1] or kept != sorted(kept, key=_NORMAL_PARTS.index):
        findings.append(
            error(
                MODEL_FILE,
                line,
                "the required parts stand in another order",
                "A condition would be evaluated, and could fail, for rules that do not apply",
                "Keep the order, `eval(p.cond)` last",
                rule="matcher-order",
            )
        )
    for wanted, text in zip(_NORMAL_PARTS, PARTS, strict=True):
        if parts.count(wanted) != 1:
            findings.append(
                error(
                    MODEL_FILE,
                    line,
                    f"the part `{text}` is missing, changed or doubled",
                    "Rules would apply where they do not belong",
                    "Restore it",
                    rule="matcher-part-missing",
                )
            )
    extra: list[Condition] = []
    compiled = True
    for part, tree_part in zip(parts, tree.values, strict=True):
        if part in _NORMAL_PARTS:
            continue
        try:
            extra.append(parse(part))
        except Malformed as exc:
            reason = _refusal(tree_part)
            compiled = False
            if reason is not None:
                findings.append(
                    error(
                        MODEL_FILE,
                        line,
                        f"the part `{part[:60]}` is not allowed: {reason} ({exc})",
                        "It could match more than it says, or run without end",
                        "Use conditions over r.rec, r.sub, r.env, or an anchored regexMatch",
                        rule="matcher-part-refused",
                    )
                )
    return extra, compiled


def _refusal(part: ast.expr) -> str | None:
    """None for what pycasbin may evaluate safely: allow-listed functions over plain values, in a form that only narrows."""
    if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Not):
        return _refusal(part.operand)
    if not isinstance(part, ast.Call) or not isinstance(part.func, ast.Name):
        return "it is no condition over the request"
    if part.func.id not in FUNCTIONS:
        return f"the function `{part.func.id}` is not on the list"
    match part.args:
        case [ast.Attribute() as value, ast.Constant(value=str(pattern))] if not part.keywords:
            if not re.fullmatch(r"r\.(sub\.id|who|role|dom|res|act|field|cls|pur)", ast.unparse(value)):
                return "it may look at r.sub.id, r.who, r.role, r.dom, r.res, r.act, r.field, r.cls and r.pur only"
            if not _SAFE_PATTERN.match(pattern) or sum(map(pattern.count, "*+?")) > 2:
                return "the pattern is not anchored with ^ and $, or not simple"
            return None
    return "it takes one value of the request and one literal pattern"
