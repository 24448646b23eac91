"""Compiles the JSON of an event pattern into branches, with the limits and messages of AWS."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from evtool.errors import EvtoolError
from evtool.patterns.conditions import Condition, Field, combine_conditions
from evtool.patterns.hints import find_misplaced_operator, suggest_list, suggest_operator
from evtool.patterns.json_values import ARRAY, OBJECT, SCALAR, kind_of, members_of, parse_lossless, to_python, to_scalar
from evtool.patterns.operators.arguments import ONE_KEY, TOO_MANY, ArgumentError, require_first_key, require_single_key
from evtool.patterns.operators.equality import equals
from evtool.patterns.operators.registry import OPERATORS
from evtool.patterns.operators.warnings import Problem, find_warnings, warn_of_replacement
from evtool.patterns.operators.wildcard import is_too_complex
from evtool.patterns.unknown import Unknown, find_unknown

EQUALS = "equals"  # the operator of a plain value
UNKNOWN = "unknown"  # the operator of an unknown value
OR = "$or"
MAX_LENGTH = 4096  # characters of a pattern's text
MAX_BRANCHES = 1000
MAX_FIELDS = 256  # of a branch
# names that AWS keeps for operators: no field inside `$or` may have one
RESERVED_NAMES = frozenset(OPERATORS) | {
    *("=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case"),
    *("date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range"),
    *("ip-address-in-range", "ip-address-not-in-range"),
}
TOO_COMPLEX = (
    "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences "
    "after a wildcard character"
)


class PatternError(EvtoolError):
    """A pattern cannot be used. `problems` says everything that is wrong with it, and where."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = tuple(problems)
        lines = [
            f"{'.'.join(map(str, problem.path)) or 'pattern'}: {problem.message}"
            + (f" ({problem.hint})" if problem.hint else "")
            for problem in problems
        ]
        super().__init__("Event pattern is not valid. " + "; ".join(lines))


class _Position(NamedTuple):
    """Where the compiler is: the names that make a field's path, the keys into the pattern, and whether in a `$or`."""

    names: tuple[str, ...] = ()
    keys: tuple[str | int, ...] = ()
    in_or: bool = False

    def path_of(self, name: str) -> str:
        parent = ".".join(self.names)
        if parent:
            return f"{parent}.{name}"
        return name


# by path; what is unknown by its keys in the pattern: a later condition for the path takes the place of no part of it
_Branch = dict[Hashable, Field]


def _compile_condition(item: Any, path: str) -> Condition:
    kind = kind_of(item)
    if kind == SCALAR:
        return Condition(path, EQUALS, to_python(item), equals(to_scalar(item)))
    if isinstance(item, Unknown):
        return _leave_undecided(path, UNKNOWN, item, item)
    if kind != OBJECT:
        hint = None
        if kind == ARRAY:
            hint = "all values stand side by side in one list"
        raise ArgumentError("Match value must be String, number, true, false, or null", hint=hint, code="EV201")
    name, argument = require_first_key(item, "Match expression name not found")
    if name not in OPERATORS:
        hint = suggest_operator(name, path.rpartition(".")[2])
        raise ArgumentError(f"Unrecognized match type {name}", name, hint=hint, code="EV202")
    unknown = find_unknown(argument)
    if unknown:
        require_single_key(item, TOO_MANY if name in ("anything-but", "numeric") else ONE_KEY)
        return _leave_undecided(path, name, to_python(argument), unknown)
    try:
        test = OPERATORS[name](argument)
    except ArgumentError as error:
        raise ArgumentError(error.message, name, *error.path, hint=error.hint, code=error.code) from None
    require_single_key(item, TOO_MANY if name in ("anything-but", "numeric") else ONE_KEY)
    return Condition(path, name, to_python(argument), test)


def _leave_undecided(path: str, operator: str, expected: Any, unknown: Unknown) -> Condition:
    return Condition(path, operator, expected, lambda _: False, unknown)


def _find_wildcards(conditions: Sequence[Condition]) -> list[frozenset[str]]:
    """The wildcards of a field, in a group for each condition; a condition that stands there twice counts once."""
    groups = set()
    for operator, expected in ((condition.operator, condition.expected) for condition in conditions):
        is_nested = isinstance(expected, dict) and "wildcard" in expected
        if is_nested:
            texts = expected["wildcard"]
        elif operator == "wildcard":
            texts = expected
        else:
            texts = []
        if texts != []:
            groups.add((operator, frozenset([texts] if isinstance(texts, str) else texts)))
    return [texts for _, texts in groups]


def _find_complex_fields(branches: Sequence[_Branch]) -> Iterator[Problem]:
    """A problem for each field whose wildcards are too complex; one that a later field replaces does not count."""
    fields = {id(field): field for branch in branches for field in branch.values()}
    for field in fields.values():
        wildcards = _find_wildcards([condition for condition in field.conditions if condition.unknown is None])
        if wildcards and is_too_complex(wildcards):
            yield Problem("EV204", field.keys, TOO_COMPLEX)


def _compile_field(values: Sequence[Any], path: str, keys: tuple[str | int, ...], problems: list[Problem]) -> Field:
    # many routes ask for the same source, type or status, and share the field
    if all(type(value) is str for value in values):
        field, field_problems = _compile_strings(tuple(values), path, keys)
    else:
        field, field_problems = _compile_values(values, path, keys)
    problems += field_problems
    return field


def _compile_values(values: Sequence[Any], path: str, keys: tuple[str | int, ...]) -> tuple[Field, list[Problem]]:
    conditions, problems = list[Condition](), list[Problem]()
    for index, item in enumerate(values):
        try:
            conditions.append(_compile_condition(item, path))
        except ArgumentError as error:
            problems.append(Problem(error.code, (*keys, index, *error.path), error.message, error.hint))
    if not values:
        problems.append(Problem("EV201", keys, "Empty arrays are not allowed"))
    problems += find_warnings(conditions, keys)
    can_be_absent = any(condition.operator == "exists" and condition.expected is False for condition in conditions)
    return Field(path, tuple(conditions), combine_conditions(conditions), can_be_absent, keys), problems


_compile_strings = lru_cache(maxsize=10_000)(_compile_values)


def _read_object(document: Any, position: _Position, branches: list[_Branch], problems: list[Problem]) -> list[_Branch]:
    """The branches with the fields of an object; of conditions for the same path the last one counts, as on AWS."""
    pairs = [(str(name), value) for name, value in members_of(document)]
    if not pairs:
        problems.append(Problem("EV201", position.keys, "Empty objects are not allowed"))
    for name, value in pairs:
        keys = (*position.keys, name)
        kind = kind_of(value)
        if name == OR:
            branches = _read_or(value, position._replace(keys=keys, in_or=True), branches, problems)
        elif position.in_or and name in RESERVED_NAMES:
            message = f"{name} is Ruler reserved fieldName which cannot be used inside {OR}."
            problems.append(Problem("EV201", keys, message))
        elif kind == OBJECT:
            _warn_of_operator(position, name, value, problems)
            child = position._replace(names=(*position.names, name), keys=keys)
            branches = _read_object(value, child, branches, problems)
        elif kind == ARRAY:
            _warn_of_operator(position, name, value, problems)
            field = _compile_field(value, position.path_of(name), keys, problems)
            replaced = {old.keys: old for branch in branches if (old := branch.get(field.path))}
            problems += [warn_of_replacement(old.path, old.keys) for old in replaced.values() if _differ(old, field)]
            for branch in branches:
                branch[field.path] = field
        elif isinstance(value, Unknown):
            _warn_of_operator(position, name, value, problems)
            _leave_open(value, position.path_of(name), keys, branches)
        else:
            message = f'"{name}" must be an object or an array'
            problems.append(Problem("EV201", keys, message, suggest_list(name, value)))
    return branches


def _differ(first: Field, second: Field) -> bool:
    """Whether two fields have different conditions."""
    return [c[1:3] for c in first.conditions] != [c[1:3] for c in second.conditions]


def _warn_of_operator(position: _Position, name: str, value: Any, problems: list[Problem]) -> None:
    found = find_misplaced_operator(position.names, name, value)
    if found:
        message, hint = found
        problems.append(Problem("EV206", (*position.keys, name), message, hint, is_warning=True))


def _read_or(value: Any, position: _Position, branches: list[_Branch], problems: list[Problem]) -> list[_Branch]:
    """The branches that each of the alternatives makes of the branches before."""
    if isinstance(value, Unknown):
        _leave_open(value, ".".join(position.names), position.keys, branches)
        return branches
    if kind_of(value) != ARRAY:
        problems.append(Problem("EV201", position.keys, f"It must be an Array followed with {OR}."))
        return branches
    combinations: list[_Branch] = []
    for index, item in enumerate(value):
        child = position._replace(keys=(*position.keys, index))
        # enough to find what else is wrong
        if len(combinations) <= MAX_BRANCHES:
            base_branches = branches
        else:
            base_branches = []
        if isinstance(item, Unknown):
            copies = [dict(branch) for branch in base_branches]
            _leave_open(item, ".".join(position.names), child.keys, copies)
            combinations += copies
            continue
        if kind_of(item) != OBJECT:
            message = f"Only JSON object is allowed in array of {OR} relationship."
            problems.append(Problem("EV201", child.keys, message))
            continue
        combinations += _read_object(item, child, [dict(branch) for branch in base_branches], problems)
    if len(value) < 2:
        message = f"There must have at least 2 Objects in {OR} relationship."
        problems.append(Problem("EV201", position.keys, message))
    if len(combinations) > MAX_BRANCHES:
        problems.append(Problem("EV204", position.keys, f"{OR} makes more than {MAX_BRANCHES} combinations"))
        return []
    return combinations or branches


def _leave_open(unknown: Unknown, path: str, keys: tuple[str | int, ...], branches: list[_Branch]) -> None:
    """Adds to the branches what is unknown at a path: a list, or an object with any fields.

    It may have conditions for all that was read before, at the path and below it, and these would count.
    """
    condition = _leave_undecided(path, UNKNOWN, unknown, unknown)
    for branch in branches:
        for key, field in [*branch.items()]:
            if not path or f"{field.path}.".startswith(f"{path}."):
                del branch[key]
        branch[keys] = Field(path, (condition,), condition.test, can_be_absent=False, keys=keys)


def compile_pattern(
    source: Mapping[str, Any] | str | bytes | Unknown,
) -> tuple[list[list[Field]], tuple[Problem, ...]]:
    """The fields of each branch of a pattern, and the warnings about it.

    Raises PatternError with everything that is wrong.
    """
    problems: list[Problem] = []
    branches = _read_pattern(source, problems)
    problems += _find_complex_fields(branches)
    if any(len(branch) > MAX_FIELDS for branch in branches):
        problems.append(Problem("EV204", (), f"Size of rule exceeds max value of {MAX_FIELDS}"))
    errors = [problem for problem in problems if not problem.is_warning]
    if errors:
        raise PatternError(errors)
    return [[*branch.values()] for branch in branches], tuple(problems)


def _read_pattern(source: Mapping[str, Any] | str | bytes | Unknown, problems: list[Problem]) -> list[_Branch]:
    if isinstance(source, Unknown):
        branch: _Branch = {}
        _leave_open(source, "", (), [branch])
        return [branch]
    text = source.decode(errors="replace") if isinstance(source, bytes) else source
    if isinstance(text, str) and len(text) > MAX_LENGTH:
        problems.append(Problem("EV204", (), f"Member must have length less than or equal to {MAX_LENGTH}"))
    try:
        is_blank = isinstance(text, str) and not text.strip()
        document = parse_lossless(source) if isinstance(source, (str, bytes)) and not is_blank else source
        if kind_of(document) == OBJECT:
            return _read_object(document, _Position(), [{}], problems)
        problems.append(Problem("EV201", (), "Filter is not an object"))
    except ValueError as error:
        problems.append(Problem("EV201", (), str(error)))
    except RecursionError:
        problems.append(Problem("EV204", (), "nested too deeply"))
    return []
