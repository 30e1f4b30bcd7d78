"""What ``mmdssl benchmark`` measures: a module with a function ``rows`` each."""
