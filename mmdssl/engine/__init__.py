"""Training machinery. Import its parts by name: nothing is imported here, so that
models may use the schedules without pulling in the hooks."""
