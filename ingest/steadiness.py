"""Whether connections to the broker hold, or somebody takes our session again and again."""

from __future__ import annotations

from collections import deque

ENDS, WITHIN_S = 3, 60.0


class Steadiness:
    """Is told when a connection was made and when the broker ended it; times in seconds.

    MQTT 3.1.1 gives no reason when the broker ends a connection because another client has
    come with the same identifier: it can be told by how soon that happens again.
    """

    def __init__(self) -> None:
        self._ends: deque[float] = deque(maxlen=ENDS)
        self._said = False

    def ended(self, *, made_s: float, now_s: float, client_id: str) -> str:
        """What there is to say of this end: of a row of them, once until a connection holds."""
        if now_s - made_s >= WITHIN_S:
            self._ends.clear()
            self._said = False
        self._ends.append(now_s)
        is_row = len(self._ends) == ENDS and now_s - self._ends[0] < WITHIN_S
        if self._said or not is_row:
            return ""
        self._said = True
        return (
            f"{ENDS} connections were ended within {WITHIN_S:.0f} s: is there another client with"
            f" the identifier {client_id}? Each needs an mqtt.client_id of its own; if there is"
            " none, the way to the broker is bad"
        )
