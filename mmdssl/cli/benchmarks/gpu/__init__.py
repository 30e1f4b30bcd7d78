"""The stages of ``mmdssl benchmark gpu``."""
