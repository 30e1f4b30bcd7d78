"""How fast a run goes: measured on the device's own clock, without waiting for it."""
