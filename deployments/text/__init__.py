"""Texts: base64 read strictly, the cause in an error of another process, the nearest right name."""
