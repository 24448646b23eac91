"""Writes events like the city lots of San Francisco: `python bench/citylots.py FILE [EVENTS]`, one a line.

The original set, for which engines of event patterns publish their figures, is not part of this project. These events
have its layout, its size (900 bytes on average) and its share of matches for the rules of `citylots-rules.json`.
"""

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The number of events in the whole set. A smaller number selects the first ones.
EVENTS = 213_068
SEED = 20240917

# The values that the rules match, and the number of events with each.
STREETS = {
    "FULTON": 1910,
    "MASON": 2657,
    "JEFFERSON": 131,
    "BEACH": 211,
    "HYDE": 1758,
    "CHESTNUT": 825,
    "ACTON": 24,
    "BLAKE": 442,
    "DRUMM": 13,
    "DRAKE": 25,
    "FUNSTON": 477,
    "RHODE ISLAND": 328,
    "SPRING": 300,
    "WARING": 1663,
    "SAN DIEGO": 682,
    "WASHINGTON": 6000,
    "HARRISON": 4000,
    "JACKSON": 4000,
    "DUKE": 404,
}
LOTS = {"1430022": 1, "2607117": 101, "2607218": 35, "3745012": 655, "VACSTWIL": 1}
# The number of lots of one block, which a wildcard matches.
BLOCK_143 = 489
# The longitude of one corner of every 977th lot.
LONGITUDE = -122.42916360922355

BEGINNINGS = (
    *("SAN", "MAR", "VAL", "CAL", "LOM", "PAC", "UNI", "GRE", "TEL", "HIL", "OAK", "PIN", "SUT", "TAY", "POW"),
    *("STO", "DIV", "OCT", "CLA", "VIC", "NOE", "EUR", "QUI", "RIV", "ORT", "PAL", "LAW", "KIR", "JUD", "IRV"),
)
ENDS = ("A", "IA", "O", "ES", "EY", "ER", "AL", "EL", "AS", "US", "ETTE", "ARD", "IN", "URA", "EZ", "OLA")

dice = random.Random(SEED)


def _streets() -> list[str]:
    """Returns the street of each lot: those of the rules, and invented names, a few of which are common."""
    streets = list(Counter(STREETS).elements())
    names = sorted({a + b + c for a in BEGINNINGS for b in BEGINNINGS for c in ENDS if dice.random() < 0.12})
    while len(streets) < EVENTS:
        streets.append(names[min(len(names) - 1, int(dice.expovariate(1 / 400)))])
    dice.shuffle(streets)
    return streets


def _lots() -> list[str]:
    """Returns the number of each lot."""
    lots = list(Counter(LOTS).elements())
    lots += [f"143{dice.randrange(10_000):04}" for _ in range(BLOCK_143)]
    while len(lots) < EVENTS:
        lots.append(f"{dice.randrange(9999):04}{dice.randrange(999):03}")
    dice.shuffle(lots)
    return lots


def _corners(number: int) -> list[dict[str, float]]:
    """Returns the corners of a lot, 5 to 120, close to each other."""
    x, y = -122.51 + 0.14 * dice.betavariate(2.6, 1.75), 37.71 + 0.12 * dice.random()
    count = max(5, min(120, int(dice.gammavariate(2.2, 2.6)) + 4))
    corners = [{"x": x + dice.uniform(-3e-4, 3e-4), "y": y + dice.uniform(-3e-4, 3e-4), "z": 0} for _ in range(count)]
    if number % 977 == 0:
        corners[1]["x"] = LONGITUDE
    return corners


def _properties(number: int, lot: str, street: str) -> dict[str, str]:
    house = str(dice.randrange(1, 4000)) if number % 87 else "441"
    return {
        "MAPBLKLOT": lot,
        "BLKLOT": lot,
        "BLOCK_NUM": lot[:4],
        "LOT_NUM": lot[4:],
        "FROM_ST": house,
        "TO_ST": house,
        "STREET": street,
        "ST_TYPE": "ST" if dice.random() < 0.546 else dice.choice(["AVE", "BLVD", "DR", "WAY", "CT"]),
        "ODD_EVEN": dice.choice("OE"),
    }


def lots(count: int = EVENTS) -> Iterator[dict[str, Any]]:
    """Yields the first events of the set, always the same."""
    dice.seed(SEED)
    streets, numbers = _streets(), _lots()
    multipolygons = set(dice.sample(range(EVENTS), 120))
    for number in range(min(count, EVENTS)):
        corners = _corners(number)
        properties = _properties(number, numbers[number], streets[number])
        geometry: dict[str, Any] = {"type": "Polygon", "firstCoordinates": corners[0], "coordinates": [corners]}
        if number in multipolygons:
            geometry["type"] = "MultiPolygon"
            geometry["coordinates"] = [[corners]]
        yield {"type": "Feature", "properties": properties, "geometry": geometry}


def write(file: Path, count: int = EVENTS) -> None:
    """Writes the first events of the set, one per line."""
    with file.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(lot) + "\n" for lot in lots(count))


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
