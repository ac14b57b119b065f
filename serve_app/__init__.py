"""The HTTP door: uploads in, JSON out; the web page; the launcher. Decides nothing about a prediction."""
