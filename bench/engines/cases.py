"""Random patterns and events for them, as JSON text: every operator, and all that a dict would lose."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from evtool.patterns.json_values import ARRAY, OBJECT, NumberText, Pairs, kind_of

NAMES = ("a", "b", "c", "d", "a.b", "b.c", "é")
ODD_NAMES = ("", "$or", "prefix", "a.", ".a", "a..b", 'a"b', "a\\b", "\x00", "\n", "\u2028")
WORDS = (
    *("", "a", "b", "ab", "aB", "A", "abc", "cab", "a b", "aaa", "x", "1", "null", "true", "*", "a*", "\\", '"', 'a"'),
    *("é", "É", "e\u0301", "ß", "SS", "ss", "ẞ", "ſ", "S", "K", "k", "\u212a", "İ", "i", "ı", "I", "ǅ", "ǆ", "Ǆ"),
    *("Σ", "ς", "σ", "ﬁ", "FI", "😀", "𐐀", "𐐨", "a\nb", "Ⱥ", "ⱥ", "ŉ", "\u0000", "\u007f", '"a'),
    *("10.0.0.1", "010.0.0.1", "10.0.0.2", "11.0.0.1", "::1", "0:0:0:0:0:0:0:1", "::ffff:0a00:0001", "2001:db8::1"),
    *("2001:DB8:0::1", "32.1.13.184", "255.255.255.255", "1.2.3", "256.0.0.1", "1:2", "::", "10.0.0.0/8"),
)
NUMBERS = (
    *("0", "-0", "0.0", "-0.0", "0e5", "1", "1.0", "1e0", "10e-1", "1E+0", "-1", "5", "5.0", "50e-1", "300", "300.0"),
    *("3e2", "3.0e2", "30E1", "0.1", "0.10", "1e-1", "0.30000000000000004", "1e308", "-1e308", "1e21", "1e15"),
    *("1e-320", "9007199254740992", "-122.42916360922355"),
)
ODD_NUMBERS = (
    *("9007199254740993", "9007199254740993.0", "123456789012345678901", "99999999999999999", "1.0000000000000001"),
    *("3.14159265358979323", "1e400", "1e-400", "1.7976931348623157e308", "5e-324"),
)
BLOCKS = ("10.0.0.0/8", "10.0.0.1/31", "::/1", "2001:db8::/32", "::1/127", "32.0.0.0/8")
ODD_BLOCKS = ("0.0.0.0/0", "::/0", "1.1.1.1/32", "x/8", "10.0.0.0", "10.0.0.0/", "::/128", "10.0.0.0/-1")
COMPARISONS = ("=", "<", "<=", ">", ">=")
TYPOS = ("Prefix", "regex", "shellstyle", "$or")


def text_of(value: Any) -> str:
    """A value as JSON text: what `evtool.patterns.json_values.parse` makes of a text, back again."""
    kind = kind_of(value)
    if kind == OBJECT:
        return "{" + ",".join(f"{json.dumps(key)}:{text_of(item)}" for key, item in value) + "}"
    if kind == ARRAY:
        return "[" + ",".join(map(text_of, value)) + "]"
    return str(value) if isinstance(value, NumberText) else json.dumps(value)


class Cases:
    """Makes cases from a seed, always the same ones."""

    def __init__(self, seed: int):
        self._dice = random.Random(seed)
        self._seen: list[Any] = []  # values that the pattern at hand names
        self._names: Sequence[str] = NAMES
        self._words: Sequence[str] = WORDS

    def next(self) -> tuple[str, str]:
        """A pattern and an event."""
        self._seen = []
        few = self._often(0.4)  # names and texts, so that conditions meet each other
        self._names, self._words = (NAMES[:2], WORDS[:3]) if few else (NAMES, WORDS)
        pattern = self._object(depth=0)
        return text_of(pattern), text_of(self._event(pattern))

    # --- patterns

    def _often(self, share: float) -> bool:
        return self._dice.random() < share

    def _object(self, depth: int) -> Pairs:
        return Pairs(self._member(depth) for _ in range(self._dice.choice((1, 1, 2, 2, 3))))

    def _member(self, depth: int) -> tuple[str, Any]:
        if self._often(0.12):
            branches = [
                self._object(depth + 1) for _ in range(self._dice.choice((2, 2, 2, 3) if self._often(0.98) else (0, 1)))
            ]
            return "$or", branches
        name = self._dice.choice(ODD_NAMES if self._often(0.02) else self._names)
        if depth < 3 and self._often(0.35):
            return name, self._object(depth + 1)
        if self._often(0.01):
            return name, self._dice.choice(("x", [], Pairs(), None))
        return name, [self._alternative() for _ in range(self._dice.choice((1, 1, 1, 2, 3)))]

    def _word(self) -> str:
        word = self._dice.choice(self._words)
        if self._often(0.3):
            word += self._dice.choice(self._words)
        self._seen.append(word)
        return word

    def _number(self) -> NumberText:
        number = NumberText(self._dice.choice(ODD_NUMBERS if self._often(0.02) else NUMBERS))
        if self._often(0.1):
            number = NumberText(repr(self._dice.uniform(-1000, 1000)))
        self._seen.append(number)
        return number

    def _plain(self) -> Any:
        made: Any = self._dice.choice(
            (self._word, self._word, self._number, lambda: self._dice.choice((True, False, None)))
        )()
        self._seen.append(made)
        return made

    def _alternative(self) -> Any:
        if self._often(0.25):
            return self._plain()
        if self._often(0.01):
            return self._dice.choice(([], Pairs(), [1], Pairs([("exists", True), ("prefix", "a")])))
        name = self._dice.choice(tuple(OPERATORS))
        operand = self._plain() if self._often(0.01) else OPERATORS[name](self)
        return Pairs([(self._dice.choice(TYPOS) if self._often(0.005) else name, operand)])

    def _affix(self) -> Any:
        return Pairs([("equals-ignore-case", self._word())]) if self._often(0.4) else self._word()

    def _wildcard(self) -> str:
        parts = [
            self._dice.choice(WORDS[:18]) if self._often(0.7) else self._word()
            for _ in range(self._dice.choice((1, 2, 2, 3)))
        ]
        parts = [part.replace("\\", "\\\\").replace("*", "\\*") if self._often(0.95) else part for part in parts]
        made = "*".join(parts)
        self._seen.append("".join(parts).replace("\\", ""))
        return made.replace("**", "*") if self._often(0.98) else made

    def _listed(self, make: Callable[[], Any]) -> Any:
        return [make() for _ in range(self._dice.choice((1, 2, 3)))] if self._often(0.5) else make()

    def _anything_but(self) -> Any:
        inner = {
            "prefix": self._word,
            "suffix": self._word,
            "equals-ignore-case": self._word,
            "wildcard": self._wildcard,
        }
        if self._often(0.4):
            return self._listed(self._dice.choice((self._word, self._number)))
        if self._often(0.02):
            return self._dice.choice(
                ([], None, True, [None], ["a", NumberText("1")], Pairs([("prefix", [])]), [Pairs()])
            )
        name = self._dice.choice(tuple(inner))
        return Pairs([(name, self._listed(inner[name]))])

    def _numeric(self) -> Any:
        if self._often(0.03):
            return self._dice.choice(
                ([], [">"], ["!=", NumberText("1")], ["<", NumberText("1"), ">", NumberText("0")], [">", "1"])
            )
        if self._often(0.5):
            return [self._dice.choice(COMPARISONS), self._number()]
        low, high = self._number(), self._number()
        if float(low) > float(high) and self._often(0.9):
            low, high = high, low
        return [self._dice.choice((">", ">=")), low, self._dice.choice(("<", "<=")), high]

    def _exists(self) -> Any:
        return self._often(0.5)

    def _cidr(self) -> Any:
        return self._dice.choice(BLOCKS if self._often(0.97) else ODD_BLOCKS)

    # --- events

    def _value(self) -> Any:
        if self._seen and self._often(0.7):
            value = self._dice.choice(self._seen)
            return self._varied(value) if isinstance(value, str) and self._often(0.4) else value
        return self._plain()

    def _varied(self, value: str) -> Any:
        if isinstance(value, NumberText):
            return self._dice.choice((str(value), NumberText(value), self._same(value)))
        change = self._dice.choice(
            (str.upper, str.lower, str.swapcase, lambda w: w + "a", lambda w: "b" + w, lambda w: w[1:])
        )
        return change(value)

    def _same(self, value: NumberText) -> NumberText:
        """The number in another form, or nearly the number."""
        if "e" in value or "E" in value:
            return value
        return NumberText(value + ("0" if "." in value else ".0")) if self._often(0.7) else NumberText(value + "e0")

    def _event(self, pattern: Any) -> Pairs:
        pairs = [self._field(name, below) for name, below in _fields(pattern) if self._often(0.85)]
        pairs += [self._field(self._dice.choice(self._names), None) for _ in range(self._dice.choice((0, 0, 1, 2)))]
        self._dice.shuffle(pairs)
        return Pairs(pairs)

    def _field(self, name: str, below: Any) -> tuple[str, Any]:
        if below is None:
            return name, self._in_arrays(self._value, 0)
        if self._often(0.06):
            return name, self._value()
        inner = self._in_arrays(lambda: self._event(below), 0)
        if self._often(0.08) and kind_of(inner) == OBJECT and len(inner) == 1:
            key, value = inner[0]
            return f"{name}.{key}", value
        return name, inner

    def _in_arrays(self, make: Callable[[], Any], depth: int) -> Any:
        if depth > 2 or not self._often(0.3):
            return make()
        made = [self._in_arrays(make, depth + 1) for _ in range(self._dice.choice((0, 1, 2, 2, 3)))]
        if self._often(0.1):
            made.append(self._plain())
        return made


def _fields(pattern: Any) -> Sequence[tuple[str, Any]]:
    """The fields that a pattern asks for, those of its `$or`s among them; None for what is below a leaf."""
    found: list[tuple[str, Any]] = []
    for name, value in pattern:
        if name == "$or" and kind_of(value) == ARRAY:
            found += [field for branch in value if kind_of(branch) == OBJECT for field in _fields(branch)]
        else:
            found.append((name, value if kind_of(value) == OBJECT else None))
    return found


OPERATORS: dict[str, Callable[[Cases], Any]] = {
    "prefix": Cases._affix,
    "suffix": Cases._affix,
    "equals-ignore-case": Cases._word,
    "wildcard": Cases._wildcard,
    "anything-but": Cases._anything_but,
    "numeric": Cases._numeric,
    "exists": Cases._exists,
    "cidr": Cases._cidr,
    "exactly": Cases._word,
}
