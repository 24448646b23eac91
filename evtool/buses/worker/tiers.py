"""Retry tiers: the pauses of a bus before a failed delivery is retried, and their topics."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from evtool.errors import UsageError
from evtool.units import SECONDS

# Characters. Kafka has this limit.
MAX_TOPIC_NAME = 249


def choose_tier(tiers: Sequence[float], delay: float) -> float:
    """Returns the shortest tier that is not below a pause in seconds, or the last tier if the pause is longer."""
    for tier in tiers:
        if tier >= delay:
            return tier
    return tiers[-1]


def format_tier(seconds: float) -> str:
    """Returns a tier in the largest unit that gives a whole number: 600.0 -> `10m`."""
    milliseconds = round(seconds * 1000)
    text = ""
    # The largest unit is last.
    for name, seconds_of_unit in SECONDS.items():
        size = round(seconds_of_unit * 1000)
        if milliseconds % size == 0:
            text = f"{milliseconds // size}{name}"
    return text


class GroupTopics(NamedTuple):
    """The topics of a consumer group: those with events, a retry topic of each for every tier, and its dead topic."""

    topics: tuple[str, ...]
    group: str
    tiers: tuple[float, ...]

    def retry_topic(self, topic: str, tier: float) -> str:
        """Returns the topic where deliveries of a topic wait for a tier."""
        return f"{topic}.{self.group}.retry.{format_tier(tier)}"

    def dead_topic(self, topic: str) -> str:
        """Returns the topic with the dead letters of a topic."""
        return f"{topic}.{self.group}.dead"

    @property
    def retry_topics(self) -> dict[str, float]:
        """All retry topics and their tiers."""
        return {self.retry_topic(topic, tier): tier for topic in self.topics for tier in self.tiers}

    @property
    def dead_topics(self) -> list[str]:
        """The dead topics."""
        return [self.dead_topic(topic) for topic in self.topics]

    @property
    def own_topics(self) -> list[str]:
        """The topics that the group needs in addition to those with events."""
        return list(self.retry_topics) + self.dead_topics

    def check_names(self) -> None:
        """Raises UsageError if the name of a topic is longer than Kafka allows."""
        too_long = [topic for topic in self.own_topics if len(topic) > MAX_TOPIC_NAME]
        if too_long:
            raise UsageError(
                f"the topic {too_long[0]} would have a name of {len(too_long[0])} characters; Kafka allows"
                f" {MAX_TOPIC_NAME}: choose a shorter group in the URL"
            )

    def find_missing(self, existing: Collection[str]) -> list[str]:
        """Returns the topics of the group that do not exist."""
        return [topic for topic in self.own_topics if topic not in existing]
