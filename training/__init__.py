"""Training of models that this repository makes itself, one package for each. The product never imports it."""
