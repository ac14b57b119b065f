"""The demo model: the family, its network, its weights and samples. MODEL_CARD.md says what it is for.

`training/benthic_demo` draws its images and trains it. No other family comes here.
"""
