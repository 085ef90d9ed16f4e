"""Why a message, a round or a value is refused: every reason that the platform gives."""

from __future__ import annotations

from typing import Final

EMPTY: Final = "empty"
OVERSIZE: Final = "oversize"
BAD_UTF8: Final = "bad-utf8"
BAD_JSON: Final = "bad-json"
BAD_CBOR: Final = "bad-cbor"
BAD_SENML: Final = "bad-senml"
NOT_A_NUMBER: Final = "not-a-number"
NUMBER_TOO_LARGE: Final = "number-too-large"
TOO_DEEP: Final = "too-deep"
TOO_MANY_FIELDS: Final = "too-many-fields"
BAD_VERSION: Final = "bad-version"
BAD_ENVELOPE: Final = "bad-envelope"
BAD_VALUE: Final = "bad-value"
UNKNOWN_KEY: Final = "unknown-key"
UNKNOWN_UNIT: Final = "unknown-unit"
WRONG_UNIT: Final = "wrong-unit"
UNKNOWN_DEVICE: Final = "unknown-device"
WRONG_PROVINCE: Final = "wrong-province"
BAD_TOPIC: Final = "bad-topic"
RETAINED: Final = "retained"
UNKNOWN_METRIC: Final = "unknown-metric"
OUTSIDE_HARD_RANGE: Final = "outside-hard-range"
CLOCK_FUTURE: Final = "clock-future"
CLOCK_BEFORE_2020: Final = "clock-before-2020"
JOURNAL_DAMAGED: Final = "journal-damaged"

OF_NOBODY = (UNKNOWN_DEVICE, WRONG_PROVINCE, BAD_TOPIC)  # who sent it is not known

# reason: (what is refused, why)
REASONS: dict[str, tuple[str, str]] = {
    EMPTY: ("message", "no payload, no rounds or no records"),
    OVERSIZE: ("message", "more than 262,144 bytes, 1,000 rounds or 16,384 records"),
    BAD_UTF8: ("message", "not UTF-8, or an escape that is half of a surrogate pair"),
    BAD_JSON: ("message", "not JSON, or neither an object nor an array"),
    BAD_CBOR: ("message", "not well-formed CBOR, or a type that SenML does not have"),
    BAD_SENML: (
        "message or record",
        "a base field of the wrong type, a mandatory field that is not known, "
        "or a record without a name or value",
    ),
    NOT_A_NUMBER: ("message", "NaN or an infinity"),
    NUMBER_TOO_LARGE: ("message", "a number beyond a double"),
    TOO_DEEP: ("message", "nested more than 8 deep"),
    TOO_MANY_FIELDS: ("message", "an object, or a SenML round, with more than 256 fields"),
    BAD_VERSION: ("message", "a version of the contract, or of SenML, that is not known"),
    BAD_ENVELOPE: (
        "message or round",
        "`v`, `ts`, `m` or `r` missing, or `v`, `boot`, `seq`, `ts`, `up`, `m`, `a` or `r` "
        "of the wrong type or out of range",
    ),
    BAD_VALUE: (
        "value",
        "not a number, boolean or null; a boolean for a quantity; an attribute not a string",
    ),
    UNKNOWN_KEY: ("key", "a key that the contract does not have"),
    UNKNOWN_UNIT: ("value", "a unit that neither SenML nor the table of metrics has"),
    WRONG_UNIT: ("value", "a unit that the metric cannot be converted from"),
    UNKNOWN_DEVICE: ("message", "the device is not in the registry"),
    WRONG_PROVINCE: ("message", "the topic names another province than the registry"),
    BAD_TOPIC: ("message", "the topic is not of the contract's form"),
    RETAINED: ("message", "telemetry and backfill must not be retained"),
    UNKNOWN_METRIC: ("value", "the device's kind has no such metric"),
    OUTSIDE_HARD_RANGE: ("value", "outside what is possible"),
    CLOCK_FUTURE: ("round", "measured more than 5 minutes after it was received"),
    CLOCK_BEFORE_2020: ("round", "measured before 2020: a clock that was not set"),
    JOURNAL_DAMAGED: ("message", "the platform's own record of it does not match its checksum"),
}
