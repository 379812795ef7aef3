"""Devices that publish over MQTT: made up or replayed, with certificates of their own, counted by kind."""


class FleetError(Exception):
    """The fleet cannot be as asked, or cannot go on; the message says what to change."""
