"""Computes the new state of a delivery of a bus from the answer of its handler, and the messages that it needs."""

from typing import NamedTuple

from evtool.buses.base import Header, Message
from evtool.buses.encoding import encode_event
from evtool.buses.worker.handover import (
    Death,
    Handover,
    NotHandoverError,
    Outgoing,
    build_dead,
    build_retry,
    origin_of,
    parse_handover,
)
from evtool.buses.worker.opening import CAUSE, DEPTH, Work
from evtool.buses.worker.tiers import GroupTopics, choose_tier
from evtool.delivery.outcomes import AttemptResult, given_up, is_exhausted, policy_of, result_of
from evtool.delivery.runtime import Environment
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.handlers.base import Answer, Failed
from evtool.readers.field_paths import Steps
from evtool.routes.routes import Routes
from evtool.store.queue import DeliveryUpdate
from evtool.store.rows import Delivery

# The condition of a dead letter without a delivery.
UNREADABLE = "Unreadable"


class Settlement(NamedTuple):
    """What becomes of a delivery when all its messages are confirmed.

    With `next_work` it is tried again by this worker when that is due, without a message; `is_released` says that no
    attempt was made.
    """

    delivery: Delivery
    outgoing: tuple[Outgoing, ...] = ()
    emitted: tuple[str, ...] = ()
    next_work: Work | None = None
    is_released: bool = False


class Settler:
    """Settles the deliveries of a consumer group."""

    def __init__(self, routes: Routes, topics: GroupTopics, environment: Environment, key_path: Steps | None):
        self._routes, self._topics, self._environment, self._key_path = routes, topics, environment, key_path

    def settle(self, work: Work, answer: Answer) -> Settlement:
        """Returns the new state of a delivery after an answer, and the messages that it needs."""
        policy = policy_of(work.claim.delivery.route, self._routes)
        if answer.outcome is None and is_exhausted(work.claim.delivery, policy):
            result = AttemptResult(given_up(work.claim, work.handover.history))
        else:
            result = result_of(work.claim, answer, policy, self._environment)
        update = result.update
        if update.state == "done":
            outgoing = tuple(self._encode_emitted(event, work) for event in result.events)
            return Settlement(update.result, outgoing, tuple(event.id for event in result.events))
        if update.state == "dead":
            return self._bury(work, update)
        if answer.outcome is None:
            return Settlement(update.result, is_released=True)
        return self._try_again(work, update)

    def refuse_emitted(self, work: Work, reason: str) -> Settlement:
        """Settles a delivery whose emitted events the bus refuses: to repeat the call would not help."""
        return self.settle(
            work, Answer(Failed(f"emitted an event that the bus refuses: {reason}", "bad-result", final=True))
        )

    def bury(self, work: Work, error: str, condition: str) -> Settlement:
        """Returns the settlement of a delivery that is given up without an attempt."""
        return self._bury(work, DeliveryUpdate(work.claim.delivery, "dead", None, error, condition))

    def bury_unreadable(self, message: Message, finding: Finding) -> Outgoing:
        """Returns the dead letter of a message that cannot be read."""
        try:
            handover = parse_handover(message)
        except NotHandoverError:
            handover = Handover(origin_of(message))
        death = Death(f"{finding.code} {finding.message}", UNREADABLE, self._environment.now())
        return build_dead(
            self._topics.dead_topic(self._topic_of(handover)), message, handover, self._topics.group, death
        )

    def _bury(self, work: Work, update: DeliveryUpdate) -> Settlement:
        handover = self._continue(work, update)
        death = Death(update.error or "", update.condition or "", self._environment.now())
        topic = self._topics.dead_topic(self._topic_of(handover))
        outgoing = build_dead(topic, work.message, handover, self._topics.group, death)
        return Settlement(update.result, (outgoing,))

    def _try_again(self, work: Work, update: DeliveryUpdate) -> Settlement:
        now = self._environment.now()
        delay = max((update.due or now) - now, 0) / 1000
        if not self._topics.tiers:
            return Settlement(update.result, next_work=self._repeat(work, update))
        tier = choose_tier(self._topics.tiers, delay)
        due = now + round(tier * 1000)
        topic = self._topics.retry_topic(self._topic_of(work.handover), tier)
        handover, group = self._continue(work, update), self._topics.group
        outgoing = build_retry(topic, work.message, handover, group, due=due, reason=update.error or "")
        return Settlement(update.result._replace(due=due), (outgoing,))

    def _repeat(self, work: Work, update: DeliveryUpdate) -> Work:
        """Returns the next attempt of a delivery that waits without a message."""
        delivery = update.result._replace(
            state="leased", attempts=update.result.attempts + 1, owner=self._environment.owner
        )
        return work._replace(claim=work.claim._replace(delivery=delivery), handover=self._continue(work, update))

    def _continue(self, work: Work, update: DeliveryUpdate) -> Handover:
        """Returns the delivery as the next message describes it, with this attempt in its history."""
        history = work.handover.history
        if update.attempt:
            history += (update.attempt,)
        return work.handover._replace(attempts=update.result.attempts, history=history)

    def _encode_emitted(self, event: Event, work: Work) -> Outgoing:
        """Returns an emitted event as a message of the first topic."""
        key, value, headers = encode_event(event, self._key_path)
        caused = work.claim.event
        own_headers: list[Header] = [
            (CAUSE, caused.id.encode(errors="replace")),
            (DEPTH, str(caused.depth + 1).encode()),
        ]
        return Outgoing(self._topics.topics[0], key, value, list(headers) + own_headers)

    def _topic_of(self, handover: Handover) -> str:
        """Returns the topic of this worker that a delivery comes from."""
        topics = self._topics.topics
        if handover.origin.topic in topics:
            return handover.origin.topic
        return topics[0]
