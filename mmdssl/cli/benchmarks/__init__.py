"""What ``mmdssl benchmark`` measures, a module each.

Its function ``rows(repeat=..., ...)`` gives dicts with ``name``, ``value`` and ``unit``, and where
they apply ``target`` (``'<= 50'``) and ``reference``.
"""
