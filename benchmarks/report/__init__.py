"""Figures, ratios, bars, charts and text, made of recorded runs. Runs nothing."""
