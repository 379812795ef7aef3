"""Signatures of the Standard Webhooks scheme, and the credentials that make them."""

import base64
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.credentials import Credentials, CredentialsError, generate, parse
from webhook.signing import headers, sign, verifies

KEYS = st.binary(min_size=24, max_size=64)
IDS = st.text("abcdefABCDEF0123456789-_", min_size=1, max_size=40)
TIMES = st.integers(min_value=0, max_value=2**33)


def credentials(key: bytes, key_id: str = "key_1") -> Credentials:
    return parse(json.dumps({"api_key": key_id, "api_secret": f"whsec_{base64.b64encode(key).decode()}"}))


def test_the_signature_is_that_of_the_published_example():
    """The example with which the libraries of the scheme are tested (https://www.standardwebhooks.com)."""
    secret = json.dumps({"api_key": "key_1", "api_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})

    signature = sign(parse(secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(KEYS, KEYS, IDS, TIMES, st.binary())
def test_a_receiver_with_either_key_verifies_what_both_have_signed(new, old, message_id, time_s, body):
    signed = headers([credentials(new, "new"), credentials(old, "old")], message_id, time_s, body)

    assert signed["webhook-id"] == message_id
    assert signed["webhook-timestamp"] == str(time_s)
    assert signed["webhook-key-id"] == "new old"
    for key, given_signature in zip((new, old), signed["webhook-signature"].split(" "), strict=True):
        digest = hmac.digest(key, f"{message_id}.{time_s}.".encode() + body, "sha256")
        assert given_signature == f"v1,{base64.b64encode(digest).decode()}"
        assert verifies(credentials(key), signed["webhook-signature"], message_id, time_s, body)


@given(KEYS, IDS, TIMES, st.binary(), st.binary(min_size=1))
def test_what_was_changed_on_the_way_does_not_verify(key, message_id, time_s, body, more):
    signatures = headers([credentials(key)], message_id, time_s, body)["webhook-signature"]

    assert not verifies(credentials(key), signatures, message_id, time_s, body + more)
    assert not verifies(credentials(key), signatures, message_id, time_s + 1, body)
    assert not verifies(credentials(key), signatures, f"{message_id}x", time_s, body)
    assert not verifies(credentials(key + b"x" if len(key) < 64 else key[:-1]), signatures, message_id, time_s, body)


def test_generated_credentials_are_usable_and_never_the_same():
    made = [parse(generate()) for _ in range(20)]

    assert len({one.key for one in made}) == len({one.key_id for one in made}) == 20
    assert {len(one.key) for one in made} == {32}


def test_credentials_do_not_show_their_key():
    made = parse(generate())

    assert repr(made) == f"Credentials(key_id='{made.key_id}')"


def test_the_key_that_the_template_generates_is_usable():
    """44 letters and digits, without the scheme's prefix."""
    assert len(parse(json.dumps({"api_key": "first", "api_secret": "aB3" * 14 + "xY"})).key) == 33


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{}", "api_key is not a text"),
        ('{"api_key": "", "api_secret": "x"}', "api_key is not a text"),
        ('{"api_key": "\\u0000", "api_secret": "x"}', "api_key is not a text"),
        ('{"api_key": "schlüssel", "api_secret": "x"}', "api_key is not a text"),
        ('{"api_key": "a b", "api_secret": "x"}', "api_key is not a text of 1 to 128 visible ASCII"),
        ('{"api_key": "a\\n", "api_secret": "x"}', "api_key is not a text of 1 to 128 visible ASCII"),
        ('{"api_key": "a"}', "api_secret is not a text"),
        ('{"api_key": "a", "api_secret": "secret!"}', "api_secret is not base64"),
        ('{"api_key": "a", "api_secret": "c2VjcmV0"}', "api_secret has 6 bytes, not 24 to 64"),
    ],
)
def test_unusable_credentials_are_refused_without_being_shown(text, reason):
    with pytest.raises(CredentialsError, match=reason) as refused:
        parse(text)

    assert "secret!" not in str(refused.value)
    assert "c2VjcmV0" not in str(refused.value)
    assert refused.value.__cause__ is None


@given(
    st.text() | st.dictionaries(st.sampled_from(["api_key", "api_secret", "x"]), st.text() | st.none()).map(json.dumps)
)
def test_whatever_stands_in_the_secret_is_credentials_or_refused(text):
    try:
        found = parse(text)
    except CredentialsError:
        return
    assert 24 <= len(found.key) <= 64
