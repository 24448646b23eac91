"""Compiles the JSON of an event pattern into branches, with the limits and messages of AWS.

Each `$or` multiplies the branches. The fields next to it belong to all of them:

    pattern     {"source": ["shop"], "$or": [{"detail": {"total": [5]}}, {"detail": {"vip": [true]}}]}
    start       [{}]                                              one branch without fields
    "source"    [{source}]
    "$or"       [{source, detail.total}, {source, detail.vip}]    a copy of each branch for each alternative
"""

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

# The operator of a plain value, and that of an unknown value.
EQUALS = "equals"
UNKNOWN = "unknown"
OR = "$or"
# Characters of the text of a pattern, a limit of AWS's API.
MAX_LENGTH = 4096
# Limits of AWS's engine: combinations of all `$or`s, and fields of one combination.
MAX_BRANCHES = 1000
MAX_FIELDS = 256
# Names that AWS reserves for operators, also future ones. No field inside `$or` may have one.
RESERVED_NAMES = frozenset(OPERATORS)
RESERVED_NAMES |= {"=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case"}
RESERVED_NAMES |= {"date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range"}
RESERVED_NAMES |= {"ip-address-in-range", "ip-address-not-in-range"}
TOO_COMPLEX = (
    "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences "
    "after a wildcard character"
)


class PatternError(EvtoolError):
    """A pattern cannot be used. `problems` are all its problems, each with its location in the pattern."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = tuple(problems)
        super().__init__("Event pattern is not valid. " + "; ".join(map(_format_problem, problems)))


def _format_problem(problem: Problem) -> str:
    path = ".".join(map(str, problem.path)) or "pattern"
    if problem.hint:
        return f"{path}: {problem.message} ({problem.hint})"
    return f"{path}: {problem.message}"


class _Position(NamedTuple):
    """The position of the compiler: the names of the field path, the keys into the pattern, and whether in a `$or`."""

    names: tuple[str, ...] = ()
    keys: tuple[str | int, ...] = ()
    in_or: bool = False

    def path_of(self, name: str) -> str:
        parent = ".".join(self.names)
        if parent:
            return f"{parent}.{name}"
        return name


# The fields by path. An unknown value in place of a list or an object is stored by its keys in the pattern, so that a
# later condition for the same path does not replace it.
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
            hint = "write all values in one list"
        raise ArgumentError("Match value must be String, number, true, false, or null", hint=hint, code="EV201")
    name, argument = require_first_key(item, "Match expression name not found")
    if name not in OPERATORS:
        hint = suggest_operator(name, path.rpartition(".")[2])
        raise ArgumentError(f"Unrecognized match type {name}", name, hint=hint, code="EV202")
    message = ONE_KEY
    if name in ("anything-but", "numeric"):
        message = TOO_MANY
    unknown = find_unknown(argument)
    if unknown:
        require_single_key(item, message)
        return _leave_undecided(path, name, to_python(argument), unknown)
    try:
        test = OPERATORS[name](argument)
    except ArgumentError as error:
        raise error.below(name) from None
    # After the argument, since AWS reports a wrong argument first.
    require_single_key(item, message)
    return Condition(path, name, to_python(argument), test)


def _leave_undecided(path: str, operator: str, expected: Any, unknown: Unknown) -> Condition:
    return Condition(path, operator, expected, _hold_never, unknown)


def _hold_never(_: object) -> bool:
    return False


def _find_wildcards(conditions: Sequence[Condition]) -> list[frozenset[str]]:
    """Returns the wildcards of a field, in a group for each condition. A condition that occurs twice counts once."""
    groups = set()
    for condition in conditions:
        wildcards: Any = []
        if isinstance(condition.expected, dict) and "wildcard" in condition.expected:
            wildcards = condition.expected["wildcard"]
        elif condition.operator == "wildcard":
            wildcards = condition.expected
        if isinstance(wildcards, str):
            wildcards = [wildcards]
        if wildcards:
            groups.add((condition.operator, frozenset(wildcards)))
    return [wildcards for _, wildcards in groups]


def _find_complex_fields(branches: Sequence[_Branch]) -> Iterator[Problem]:
    """Yields a problem for each field whose wildcards are too complex.

    Checked after all fields are compiled: a field that a later one replaces does not count.
    """
    # Branches share fields, and each one is checked once.
    fields: dict[int, Field] = {}
    for branch in branches:
        fields.update((id(field), field) for field in branch.values())
    for field in fields.values():
        wildcards = _find_wildcards([condition for condition in field.conditions if condition.unknown is None])
        if wildcards and is_too_complex(wildcards):
            yield Problem("EV204", field.keys, TOO_COMPLEX)


def _compile_field(values: Sequence[Any], path: str, keys: tuple[str | int, ...], problems: list[Problem]) -> Field:
    # Shared: many routes have the same source, type or status.
    if all(type(value) is str for value in values):
        field, field_problems = _compile_strings(tuple(values), path, keys)
    else:
        field, field_problems = _compile_values(values, path, keys)
    problems += field_problems
    return field


def _compile_values(values: Sequence[Any], path: str, keys: tuple[str | int, ...]) -> tuple[Field, list[Problem]]:
    conditions: list[Condition] = []
    problems: list[Problem] = []
    for index, item in enumerate(values):
        try:
            conditions.append(_compile_condition(item, path))
        except ArgumentError as error:
            problems.append(Problem(error.code, keys + (index,) + error.path, error.message, error.hint))
    if not values:
        problems.append(Problem("EV201", keys, "Empty arrays are not allowed"))
    problems += find_warnings(conditions, keys)
    can_be_absent = any(condition.operator == "exists" and condition.expected is False for condition in conditions)
    return Field(path, tuple(conditions), combine_conditions(conditions), can_be_absent, keys), problems


# Strings are hashable, and no other part of a pattern changes the field.
_compile_strings = lru_cache(maxsize=10_000)(_compile_values)


def _read_object(document: Any, position: _Position, branches: list[_Branch], problems: list[Problem]) -> list[_Branch]:
    """Adds the fields of an object to the branches. Of conditions for the same path the last one counts, as on AWS."""
    pairs = [(str(name), value) for name, value in members_of(document)]
    if not pairs:
        problems.append(Problem("EV201", position.keys, "Empty objects are not allowed"))
    for name, value in pairs:
        keys = position.keys + (name,)
        kind = kind_of(value)
        if name == OR:
            branches = _read_or(value, position._replace(keys=keys, in_or=True), branches, problems)
        elif position.in_or and name in RESERVED_NAMES:
            message = f"{name} is Ruler reserved fieldName which cannot be used inside {OR}."
            problems.append(Problem("EV201", keys, message))
        elif kind == OBJECT:
            _warn_of_operator(position, name, value, problems)
            child = position._replace(names=position.names + (name,), keys=keys)
            branches = _read_object(value, child, branches, problems)
        elif kind == ARRAY:
            _warn_of_operator(position, name, value, problems)
            field = _compile_field(value, position.path_of(name), keys, problems)
            problems += _add_field(field, branches)
        elif isinstance(value, Unknown):
            _warn_of_operator(position, name, value, problems)
            _leave_open(value, position.path_of(name), keys, branches)
        else:
            message = f'"{name}" must be an object or an array'
            problems.append(Problem("EV201", keys, message, suggest_list(name, value)))
    return branches


def _add_field(field: Field, branches: list[_Branch]) -> list[Problem]:
    """Adds a field to all branches. Returns a warning for each field with other conditions that it replaces."""
    warnings: dict[tuple[str | int, ...], Problem] = {}
    for branch in branches:
        replaced = branch.get(field.path)
        if replaced and _list_alternatives(replaced) != _list_alternatives(field):
            # By keys: the same field of the pattern may be in many branches.
            warnings[replaced.keys] = warn_of_replacement(replaced.path, replaced.keys)
        branch[field.path] = field
    return list(warnings.values())


def _list_alternatives(field: Field) -> list[tuple[str, Any]]:
    return [(condition.operator, condition.expected) for condition in field.conditions]


def _warn_of_operator(position: _Position, name: str, value: Any, problems: list[Problem]) -> None:
    warning = find_misplaced_operator(position.names, name, value)
    if warning:
        message, hint = warning
        problems.append(Problem("EV206", position.keys + (name,), message, hint, is_warning=True))


def _read_or(value: Any, position: _Position, branches: list[_Branch], problems: list[Problem]) -> list[_Branch]:
    """Returns the branches that the alternatives make of the previous branches."""
    if isinstance(value, Unknown):
        _leave_open(value, ".".join(position.names), position.keys, branches)
        return branches
    if kind_of(value) != ARRAY:
        problems.append(Problem("EV201", position.keys, f"It must be an Array followed with {OR}."))
        return branches
    combinations: list[_Branch] = []
    for index, item in enumerate(value):
        child = position._replace(keys=position.keys + (index,))
        copies: list[_Branch] = []
        # Nested `$or`s could make millions of branches. Without branches, the rest is still checked for problems.
        if len(combinations) <= MAX_BRANCHES:
            copies = [dict(branch) for branch in branches]
        if isinstance(item, Unknown):
            _leave_open(item, ".".join(position.names), child.keys, copies)
            combinations += copies
        elif kind_of(item) == OBJECT:
            combinations += _read_object(item, child, copies, problems)
        else:
            message = f"Only JSON object is allowed in array of {OR} relationship."
            problems.append(Problem("EV201", child.keys, message))
    if len(value) < 2:
        message = f"There must have at least 2 Objects in {OR} relationship."
        problems.append(Problem("EV201", position.keys, message))
    if len(combinations) > MAX_BRANCHES:
        problems.append(Problem("EV204", position.keys, f"{OR} makes more than {MAX_BRANCHES} combinations"))
        return []
    return combinations or branches


def _leave_open(unknown: Unknown, path: str, keys: tuple[str | int, ...], branches: list[_Branch]) -> None:
    """Adds an unknown value at a path to the branches. It may become a list, or an object with any fields.

    It removes the earlier fields at the path and below it: the unknown value may have conditions for them, which would
    replace the earlier ones.
    """
    condition = _leave_undecided(path, UNKNOWN, unknown, unknown)
    for branch in branches:
        for key, field in list(branch.items()):
            if not path or f"{field.path}.".startswith(f"{path}."):
                del branch[key]
        branch[keys] = Field(path, (condition,), condition.test, can_be_absent=False, keys=keys)


def compile_pattern(
    source: Mapping[str, Any] | str | bytes | Unknown,
) -> tuple[list[list[Field]], tuple[Problem, ...]]:
    """Returns the fields of each branch of a pattern, and the warnings. Raises PatternError with all problems."""
    problems: list[Problem] = []
    branches = _read_pattern(source, problems)
    problems += _find_complex_fields(branches)
    if any(len(branch) > MAX_FIELDS for branch in branches):
        problems.append(Problem("EV204", (), f"Size of rule exceeds max value of {MAX_FIELDS}"))
    errors = [problem for problem in problems if not problem.is_warning]
    if errors:
        raise PatternError(errors)
    return [list(branch.values()) for branch in branches], tuple(problems)


def _parse_text(source: str | bytes, problems: list[Problem]) -> Any:
    text = source
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    if len(text) > MAX_LENGTH:
        problems.append(Problem("EV204", (), f"Member must have length less than or equal to {MAX_LENGTH}"))
    # For a blank text AWS reports that it is not an object, not that its JSON is malformed.
    if not text.strip():
        return text
    return parse_lossless(source)


def _read_pattern(source: Mapping[str, Any] | str | bytes | Unknown, problems: list[Problem]) -> list[_Branch]:
    if isinstance(source, Unknown):
        branch: _Branch = {}
        _leave_open(source, "", (), [branch])
        return [branch]
    document: Any = source
    try:
        if isinstance(source, (str, bytes)):
            document = _parse_text(source, problems)
        if kind_of(document) == OBJECT:
            return _read_object(document, _Position(), [{}], problems)
        problems.append(Problem("EV201", (), "Filter is not an object"))
    except ValueError as error:
        problems.append(Problem("EV201", (), str(error)))
    except RecursionError:
        problems.append(Problem("EV204", (), "nested too deeply"))
    return []
