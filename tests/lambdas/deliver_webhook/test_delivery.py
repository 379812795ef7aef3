"""Tries of one message: when they are repeated, when they end, and how long they wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliver_webhook.delivery import Clock, RefusedError, UnavailableError, backoff_s, deliver, seconds
from deliver_webhook.posting import Answer, NoAnswerError

BUDGET_S = 30.0


class Time:
    """A clock that passes by sleeping, and by `takes_s` for each post."""

    def __init__(self, jitter: float = 1.0) -> None:
        self.now_s = 1_795_251_600.0
        self.slept: list[float] = []
        self.jitter = jitter

    def sleep(self, pause_s: float) -> None:
        self.slept.append(pause_s)
        self.now_s += pause_s

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now_s, self.sleep, lambda: self.jitter)


class Receiver:
    """Gives the answers one after the other, and the last one for ever."""

    def __init__(self, time: Time, *answers: Answer | Exception, takes_s: float = 0.0) -> None:
        self.time, self.answers, self.takes_s = time, list(answers), takes_s
        self.given_s: list[float] = []

    def post(self, within_s: float) -> Answer:
        self.given_s.append(within_s)
        self.time.now_s += self.takes_s
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_what_is_taken_is_sent_once(time, status):
    assert deliver(Receiver(time, Answer(status)).post, BUDGET_S, time.clock) == 1
    assert time.slept == []


@pytest.mark.parametrize("first", [Answer(429), Answer(500), Answer(503), NoAnswerError("it was not reached")])
def test_what_may_pass_is_tried_again(time, first):
    assert deliver(Receiver(time, first, Answer(200)).post, BUDGET_S, time.clock) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 410, 422])
def test_what_will_not_pass_is_not_tried_again(time, status):
    receiver = Receiver(time, Answer(status))

    with pytest.raises(RefusedError, match=f"The receiver answered {status}") as refused:
        deliver(receiver.post, BUDGET_S, time.clock)

    assert len(receiver.given_s) == 1
    assert ("redirects are not followed" in str(refused.value)) is (status < 400)


def test_pauses_grow_to_a_limit_and_the_tries_end(time):
    with pytest.raises(UnavailableError, match=r"The receiver answered 500\. That was try 5\."):
        deliver(Receiver(time, Answer(500)).post, 1000.0, time.clock)

    assert time.slept == [backoff_s(number) for number in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert backoff_s(100) == 10.0


@given(st.floats(min_value=0, max_value=1))
def test_a_pause_is_any_part_of_the_longest_one(jitter):
    time = Time(jitter)
    deliver(Receiver(time, Answer(500), Answer(200)).post, BUDGET_S, time.clock)

    assert time.slept == [jitter * 0.5]


def test_the_receiver_is_asked_again_when_it_says(time):
    deliver(Receiver(time, Answer(503, "7"), Answer(200)).post, BUDGET_S, time.clock)

    assert time.slept == [7.0]


def test_a_receiver_that_wants_to_be_asked_later_than_there_is_time_ends_the_tries(time):
    with pytest.raises(UnavailableError, match="answered 429"):
        deliver(Receiver(time, Answer(429, "31")).post, BUDGET_S, time.clock)

    assert time.slept == []


@given(
    takes_s=st.floats(min_value=0, max_value=40), jitter=st.floats(min_value=0, max_value=1), after=st.integers(0, 40)
)
def test_no_try_begins_after_the_time_is_up(takes_s, jitter, after):
    time = Time(jitter)
    start_s, receiver = time.now_s, Receiver(time, Answer(503, str(after)), Answer(500), takes_s=takes_s)

    with pytest.raises(UnavailableError):
        deliver(receiver.post, BUDGET_S, time.clock)

    assert all(0 < given_s <= BUDGET_S for given_s in receiver.given_s)
    assert time.now_s - start_s < BUDGET_S + takes_s + 0.001


@pytest.mark.parametrize(
    ("text", "pause_s"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("Sat, 21 Nov 2026 09:00:10 +99999999999999999999", None),
        ("Sat, 21 Nov 99999999999999999999 09:00:10 GMT", None),
        ("Sat, 21 Nov 2026 09:00:10 GMT", 10.0),
        ("Sat, 21 Nov 2026 08:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 09:00:10 -0000", 10.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, pause_s):
    assert seconds(text, 1_795_251_600.0) == pause_s


@given(st.text())
def test_whatever_a_receiver_writes_there_is_seconds_or_nothing(text):
    pause_s = seconds(text, 1_795_251_600.0)

    assert pause_s is None or pause_s >= 0
