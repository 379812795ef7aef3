"""The made-up machine behind one simulated device: a daily swing, noise, and anomalies that are labelled."""

import math
import random

DAY_MS = 86_400_000
EPISODE_PROBABILITY = 0.002
"""How often a reading begins an anomaly."""
EPISODE_READINGS = (5, 15)


class Machine:
    """Temperature (°C), vibration (g) and pressure (bar) of one machine; the same source gives the same series."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        self._temperature = source.uniform(58, 72)
        self._vibration = source.uniform(3, 8)
        self._pressure = source.uniform(1.8, 2.6)
        self._phase = source.uniform(-0.5, 0.5)
        self._drift = 0.0
        self._episode = ""
        self._readings_left = 0

    def read(self, at_ms: int) -> dict[str, float]:
        """The machine's metrics at one time, with `anomaly` 1 during an anomaly and 0 otherwise."""
        swing = math.sin(2 * math.pi * (at_ms % DAY_MS) / DAY_MS + self._phase)
        self._drift = 0.95 * self._drift + self._random.gauss(0, 0.2)
        temperature = self._temperature + 6 * swing + self._drift
        vibration = self._vibration * (1 + abs(self._random.gauss(0, 0.1)))
        pressure = self._pressure + 0.1 * swing + self._random.gauss(0, 0.02)
        episode = self._next_episode()
        if episode == "overheating":
            temperature += self._random.uniform(45, 60)
        elif episode == "imbalance":
            vibration += self._random.uniform(50, 80)
        elif episode == "leak":
            pressure *= self._random.uniform(0.1, 0.4)
        return {
            "temperature": round(temperature, 3),
            "vibration": round(vibration, 3),
            "pressure": round(pressure, 4),
            "anomaly": int(bool(episode)),
        }

    def _next_episode(self) -> str:
        """The anomaly the next reading belongs to, empty for none."""
        if self._readings_left == 0:
            self._episode = ""
            if self._random.random() < EPISODE_PROBABILITY:
                self._episode = self._random.choice(("overheating", "imbalance", "leak"))
                self._readings_left = self._random.randint(*EPISODE_READINGS)
        if self._episode:
            self._readings_left -= 1
        return self._episode
