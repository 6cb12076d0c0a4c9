"""The parts of a series in words: when it ran, and why it paused."""

from drills.model import Part


def told(part: Part) -> str:
    """One part, as a sentence without its point."""
    began = f"{part.began:%Y-%m-%d %H:%M}"
    until = f" to {part.ended:%Y-%m-%d %H:%M}" if part.ended else ""
    drills = f"drills {part.first} to {part.last}" if part.last >= part.first else "no drill"
    again = f"; {part.interrupted} was under way, and is not counted" if part.interrupted else ""
    return f"{began}{until} UTC, {drills}; ended: {part.why}{again}"
