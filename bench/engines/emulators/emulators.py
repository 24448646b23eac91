"""The matchers of LocalStack and moto, asked in JSON lines as the other engines are: see bench/README.md.

Runs in an environment of its own that has both; the argument says which one answers.
"""

import json
import sys
from importlib.metadata import version

from localstack.aws.api.events import InvalidEventPatternException as LocalStackRefusal
from localstack.services.events.event_rule_engine import EventPatternCompiler, EventRuleEngine
from moto.events.exceptions import InvalidEventPatternException as MotoRefusal
from moto.events.models import EventPattern, EventPatternParser

Verdict = bool | str


def localstack(pattern: str, event: str) -> Verdict:
    """LocalStack's matcher, as its TestEventPattern calls it."""
    try:
        compiled = EventPatternCompiler().compile_event_pattern(pattern)
    except LocalStackRefusal as error:
        return f"refused: {error}"
    return bool(EventRuleEngine().evaluate_pattern_on_event(compiled, event))


def moto(pattern: str, event: str) -> Verdict:
    """moto's matcher, as its rules use it."""
    try:
        parsed = EventPatternParser(pattern).parse()
    except MotoRefusal as error:
        return f"refused: {error}"
    return bool(EventPattern(pattern, parsed).matches_event(json.loads(event)))


ENGINES = {"localstack": (localstack, "localstack-core"), "moto": (moto, "moto")}


def main() -> None:
    """Answers requests until there are no more."""
    verdict, package = ENGINES[sys.argv[1]]
    for line in sys.stdin:
        request = json.loads(line)
        if "about" in request:
            print(json.dumps({"version": version(package)}), flush=True)
            continue
        verdicts: list[Verdict] = []
        for pattern, event in request["judge"]:
            try:
                verdicts.append(verdict(pattern, event))
            except Exception as error:  # noqa: BLE001  (whatever it fails with is its answer)
                verdicts.append(f"failed: {error!r}")
        print(json.dumps({"verdicts": verdicts}), flush=True)


if __name__ == "__main__":
    main()
