"""The demo model: its family, its weights and the sample images that show what it finds."""

from pathlib import Path

SAMPLES_FOLDER = Path(__file__).parent / "samples"
"""PNG files that were drawn for the demo model, and `truth.json`, which says what is in them."""
