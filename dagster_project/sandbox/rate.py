"""The two shapes of rate limit that the vendors use, as plain arithmetic on a clock that the caller hands in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass
class RollingWindow:
    """At most `calls` in any `seconds`, as HubSpot counts."""

    seconds: float
    _times: deque[float] = field(default_factory=deque)

    def take(self, calls: int, now: float) -> int | None:
        """Counts one call made at `now` (seconds of a monotonic clock).

        Returns how many more are allowed at this moment, or None when this one is too many; refused calls do not count.
        """
        times = self._times
        while times and times[0] <= now - self.seconds:
            times.popleft()
        if len(times) >= calls:
            return None
        times.append(now)
        return calls - len(times)


@dataclass
class TokenBucket:
    """`rate` a second in the long run, `burst` at once, as Slack tolerates."""

    _tokens: float | None = None
    _at: float = 0.0

    def take(self, rate: float, burst: float, now: float) -> float:
        """Takes one token at `now` (seconds of a monotonic clock).

        Returns 0.0 when there was one, else the seconds until there will be one; a refusal takes nothing.
        """
        tokens = burst if self._tokens is None else min(burst, self._tokens + (now - self._at) * rate)
        self._at = now
        if tokens >= 1.0:
            self._tokens = tokens - 1.0
            return 0.0
        self._tokens = tokens
        return (1.0 - tokens) / rate
