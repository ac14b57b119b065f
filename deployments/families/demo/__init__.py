"""The demo model: the family, its network, its weights and samples. MODEL_CARD.md says what it is for.

`training/benthic_demo` draws its images and trains it. No other family comes here.
"""

from pathlib import Path

SAMPLES_FOLDER = Path(__file__).parent / "samples"
"""PNG files that were drawn for the demo model, and `truth.json`, which says what is in them."""
