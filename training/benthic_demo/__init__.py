"""Draws seafloor scenes, and trains and evaluates the demo model on them.

May import `deployments.families.demo`; run by hand, see MODEL_CARD.md there.
"""
